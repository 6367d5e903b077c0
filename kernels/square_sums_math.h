#pragma once

#include "kernels/operation.h"
#include "kernels/square_sums.h"

namespace tardigrad {

/// Counts the lanes of a chunk's sum (lane_sum.h): a block's threads on a GPU.
inline constexpr std::size_t square_lanes = 256;

/// Returns the elements of the chunk that begins at `first`.
TARDIGRAD_HOST_DEVICE inline std::size_t chunk_size(std::size_t dimension, std::size_t first) {
  return dimension - first < SquareSums::chunk ? dimension - first : SquareSums::chunk;
}

/// Throws std::logic_error as square_sums.h says.
void check(const SquareSums& squares);

}  // namespace tardigrad
