#pragma once

#include <cstddef>

#include "kernels/lane_sum.h"
#include "kernels/launch.cuh"

/// Sums over the rows of a matrix, in float64 and in the order of lane_sum.h with the lanes of a warp.

namespace tardigrad {

/// Counts the columns that a block takes at a time: of floats 32 bytes a row, the least that memory moves.
inline constexpr unsigned columns_at_once = threads_per_block / warp_lanes;

inline Grid grid_for_columns(std::size_t columns) {
  return {(columns + columns_at_once - 1) / columns_at_once};
}

/// Calls write(column, sum) with the sums of load(row, column), which is called once for every element, for
/// up to columns_at_once columns from `first` on. Every thread of the block calls it.
template <typename Load, typename Write>
__device__ void sum_some_columns(std::size_t rows, std::size_t columns, std::size_t first, const Load& load,
                                 const Write& write) {
  __shared__ double sums[threads_per_block];
  const std::size_t column = first + threadIdx.x % columns_at_once;
  double sum = 0;
  if (column < columns) {
#pragma unroll 8
    for (std::size_t row = threadIdx.x / columns_at_once; row < rows; row += warp_lanes) {
      sum += load(row, column);
    }
  }
  sums[threadIdx.x] = sum;
  for (unsigned half = threads_per_block / 2; half >= columns_at_once; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
  }
  if (threadIdx.x < columns_at_once && column < columns) write(column, sums[threadIdx.x]);
  __syncthreads();  // before the next columns' sums are written
}

/// Does so for all columns. Every thread of the grid calls it.
template <typename Load, typename Write>
__device__ void sum_columns(std::size_t rows, std::size_t columns, const Load& load, const Write& write) {
  for (std::size_t first = std::size_t{blockIdx.x} * columns_at_once; first < columns;
       first += std::size_t{gridDim.x} * columns_at_once) {
    sum_some_columns(rows, columns, first, load, write);
  }
}

}  // namespace tardigrad
