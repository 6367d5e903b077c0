#pragma once

#include <algorithm>
#include <cstddef>

#include "kernels/memory_format.h"

namespace tardigrad {

/// Describes the parts of a batch over which a GPU adds up what belongs to a channel before it adds the
/// parts: images where a whole channel of one lies together, else `rows`, that is pixels, behind each other.
struct ChannelParts {
  std::size_t count;
  std::size_t rows;  ///< of one part, the last one excepted
};

inline ChannelParts channel_parts(std::size_t images, std::size_t rows_of_one, MemoryFormat format) {
  if (format == MemoryFormat::channel_major) return {images, rows_of_one};
  constexpr std::size_t fewest_rows = 8;    // a smaller part is not worth its sum
  constexpr std::size_t most_parts = 1024;  // one block each: about what the largest GPUs hold at once
  const auto divide = [](std::size_t a, std::size_t b) { return (a + b - 1) / b; };
  const std::size_t all = images * rows_of_one;
  const std::size_t rows = std::max(fewest_rows, divide(all, most_parts));
  return {divide(all, rows), rows};
}

}  // namespace tardigrad
