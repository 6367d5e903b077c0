#pragma once

#include "kernels/lane_sum.h"
#include "kernels/launch.cuh"

/// Is the second half of lane_sum.h's order, on a GPU.

namespace tardigrad {

/// Returns the sum over the lanes of a warp, in lane 0. Every thread of the warp calls it.
__device__ inline double warp_sum(double sum) {
  for (unsigned half = warp_lanes / 2; half > 0; half /= 2) sum += __shfl_down_sync(0xffffffffU, sum, half);
  return sum;
}

/// Returns the same sum to every lane: both sides of an exchange add the same two numbers. Every thread of
/// the warp calls it.
template <typename Number>
__device__ Number sum_in_warp(Number sum) {
  for (unsigned half = warp_lanes / 2; half > 0; half /= 2) sum += __shfl_xor_sync(0xffffffffU, sum, half);
  return sum;
}

/// Returns the sum over the threads of a block of threads_per_block, in thread 0. Every thread of the block
/// calls it.
__device__ inline double block_sum(double sum) {
  __shared__ double sums[threads_per_block];
  sums[threadIdx.x] = sum;
  for (unsigned half = threads_per_block / 2; half >= warp_lanes; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
  }
  if (threadIdx.x < warp_lanes) sum = warp_sum(sums[threadIdx.x]);
  __syncthreads();  // before another call writes what warp 0 may still be reading
  return sum;
}

}  // namespace tardigrad
