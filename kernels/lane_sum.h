#pragma once

#include <cstddef>

#include "kernels/operation.h"

/// Is the order of summation that a CPU and a GPU share, so that their sums have the same bits: lane l of L
/// adds up the terms l, l + L, l + 2L, …, then halves of the lanes are added, L/2 to L/2, L/4 to L/4, down to
/// one. L is a power of two. On a GPU a lane is a thread, and warp_sum() or block_sum() of lane_sum.cuh adds
/// the halves.

namespace tardigrad {

/// Counts the threads of a warp.
inline constexpr unsigned warp_lanes = 32;

/// Returns sum + a·b. It is exact up to the addition, so it does not matter whether a compiler fuses the two.
TARDIGRAD_HOST_DEVICE inline double add_product(double sum, float a, float b) {
  return sum + static_cast<double>(a) * static_cast<double>(b);
}

/// Returns the sum over i < count of what `add(sum, i)` adds.
template <std::size_t lanes, typename Add>
double lane_sum(std::size_t count, const Add& add) {
  double sums[lanes] = {};
  std::size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    for (std::size_t lane = 0; lane < lanes; ++lane) sums[lane] = add(sums[lane], i + lane);
  }
  for (std::size_t lane = 0; i + lane < count; ++lane) sums[lane] = add(sums[lane], i + lane);
  for (std::size_t half = lanes / 2; half > 0; half /= 2) {
    for (std::size_t lane = 0; lane < half; ++lane) sums[lane] += sums[lane + half];
  }
  return sums[0];
}

}  // namespace tardigrad
