#pragma once

#include <cstddef>

#include "kernels/memory_format.h"
#include "kernels/operation.h"

namespace tardigrad {

/// Describes the images that a 2×2 max-pool with stride 2 reads, and those that it makes. Height and width
/// are rounded down: an odd last row or column belongs to no window.
struct PoolShape {
  std::size_t batch = 0, channels = 0, height = 0, width = 0;  ///< of the input
  MemoryFormat input_format = MemoryFormat::channel_major;
  MemoryFormat output_format = MemoryFormat::channel_major;

  TARDIGRAD_HOST_DEVICE std::size_t output_height() const { return height / 2; }
  TARDIGRAD_HOST_DEVICE std::size_t output_width() const { return width / 2; }

  /// Returns the number of windows of one channel of the batch.
  TARDIGRAD_HOST_DEVICE std::size_t windows() const { return batch * output_height() * output_width(); }
  std::size_t input_size() const { return batch * channels * height * width; }
  std::size_t output_size() const { return windows() * channels; }
};

/// Stands in the place of the element of a window (0 … 3, row order) that gets the gradient, where the ReLU
/// before the pool is closed and none gets it.
inline constexpr unsigned char no_winner = 4;

}  // namespace tardigrad
