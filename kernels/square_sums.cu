#include "kernels/lane_sum.cuh"
#include "kernels/launch.cuh"
#include "kernels/square_sums_math.h"

namespace tardigrad {
namespace {

static_assert(square_lanes == threads_per_block, "block_sum() adds the lanes of one sum");

/// A block takes one chunk at a time.
__global__ void __launch_bounds__(threads_per_block)
    square_sums_kernel(std::size_t dimension, const float* __restrict__ vector, double* __restrict__ sums) {
  const std::size_t chunks = SquareSums::chunks(dimension);
  for (std::size_t index = blockIdx.x; index < chunks; index += gridDim.x) {
    const std::size_t first = index * SquareSums::chunk;
    const std::size_t size = chunk_size(dimension, first);
    double sum = 0;
    for (std::size_t i = threadIdx.x; i < size; i += threads_per_block) {
      sum = add_product(sum, vector[first + i], vector[first + i]);
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) sums[index] = sum;
  }
}

}  // namespace

void SquareSums::launch(CudaStream stream) const {
  if (dimension == 0) return;
  check(*this);
  launch_kernel(name, square_sums_kernel, {chunks(dimension)}, stream, dimension, vector, sums);
}

}  // namespace tardigrad
