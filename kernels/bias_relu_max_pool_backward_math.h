#pragma once

#include <algorithm>
#include <cstddef>

#include "kernels/bias_relu_max_pool_backward.h"
#include "kernels/bias_relu_max_pool_math.h"

namespace tardigrad {

/// Describes the parts of a batch over which a GPU adds up the bias gradient before it adds the parts:
/// `windows` in a row, or images where a whole channel of one lies together.
struct BiasParts {
  std::size_t count;
  std::size_t windows;  ///< of one part, the last one excepted
};

inline BiasParts parts_of(const PoolShape& shape) {
  if (shape.input_format == MemoryFormat::channel_major) {
    return {shape.batch, shape.output_height() * shape.output_width()};
  }
  constexpr std::size_t fewest_windows = 8;  // a smaller part is not worth its sum
  constexpr std::size_t most_parts = 1024;   // one block each: about what the largest GPUs hold at once
  const auto divide = [](std::size_t a, std::size_t b) { return (a + b - 1) / b; };
  const std::size_t windows = std::max(fewest_windows, divide(shape.windows(), most_parts));
  return {divide(shape.windows(), windows), windows};
}

/// Throws std::logic_error as bias_relu_max_pool_backward.h says.
template <typename Number>
void check(const BiasReluMaxPoolBackward<Number>& pool);

}  // namespace tardigrad
