#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "kernels/add_parts.h"
#include "kernels/image_batch.h"
#include "kernels/memory_format.h"

namespace tardigrad {

/// Describes the parts of a batch over which what belongs to a channel is added up before AddParts adds the
/// parts: images where a whole channel of one lies together, else `rows`, that is pixels, behind each other.
struct ChannelParts {
  std::size_t count;
  std::size_t rows;  ///< of one part, the last one excepted

  /// Returns the part that the element at a place belongs to.
  std::size_t part_of(const ImageBatch& shape, std::size_t place) const {
    const bool together = shape.format == MemoryFormat::channel_major;
    return together ? place / shape.image_size() : place / shape.channels / rows;
  }
};

/// Returns those of a batch; none where it is empty.
inline ChannelParts channel_parts(const ImageBatch& shape) {
  if (shape.size() == 0) return {0, 1};
  if (shape.format == MemoryFormat::channel_major) return {shape.batch, shape.pixels};
  constexpr std::size_t fewest_rows = 8;    // a smaller part is not worth its sum
  constexpr std::size_t most_parts = 1024;  // one block each: about what the largest GPUs hold at once
  constexpr std::size_t most_sums = std::size_t{1} << 20;  // so many channels fill a GPU with fewer parts
  const auto divide = [](std::size_t a, std::size_t b) { return (a + b - 1) / b; };
  const std::size_t all = shape.batch * shape.pixels;
  const std::size_t parts = std::clamp<std::size_t>(most_sums / shape.channels, 1, most_parts);
  const std::size_t rows = std::max(fewest_rows, divide(all, parts));
  return {divide(all, rows), rows};
}

/// Adds up, on a CPU, what belongs to the columns of partial sums, in float64, and rounds it.
class PartialSumsOnCpu {
 public:
  explicit PartialSumsOnCpu(const PartialSums& sums) : columns_(sums.columns), sums_(sums.size()) {}

  void add(std::size_t part, std::size_t column, double term) { sums_[part * columns_ + column] += term; }

  void write(float* partial_sums) const {
    std::ranges::transform(sums_, partial_sums, [](double sum) { return static_cast<float>(sum); });
  }

 private:
  std::size_t columns_;
  std::vector<double> sums_;
};

}  // namespace tardigrad
