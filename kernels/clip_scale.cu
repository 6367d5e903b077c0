#include "kernels/clip_scale.h"

#include "kernels/clip_scale_math.h"
#include "kernels/lane_sum.cuh"
#include "kernels/launch.cuh"
#include "kernels/require.h"

namespace tardigrad {
namespace {

static_assert(clip_lanes == threads_per_block, "block_sum() adds the lanes of one sum");

/// A block takes one chunk at a time.
__global__ void __launch_bounds__(threads_per_block)
    sum_squares_kernel(std::size_t dimension, const float* __restrict__ vector,
                       double* __restrict__ partial_sums) {
  const std::size_t chunks = ClipScale::chunks(dimension);
  for (std::size_t index = blockIdx.x; index < chunks; index += gridDim.x) {
    const std::size_t first = index * ClipScale::chunk;
    const std::size_t size = chunk_size(dimension, first);
    double sum = 0;
    for (std::size_t i = threadIdx.x; i < size; i += threads_per_block) {
      sum = add_product(sum, vector[first + i], vector[first + i]);
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) partial_sums[index] = sum;
  }
}

/// One block.
__global__ void __launch_bounds__(threads_per_block)
    clip_scale_kernel(std::size_t chunks, const double* __restrict__ partial_sums, float max_norm,
                      float* __restrict__ scale) {
  double sum = 0;
  for (std::size_t i = threadIdx.x; i < chunks; i += threads_per_block) sum += partial_sums[i];
  sum = block_sum(sum);
  if (threadIdx.x == 0) *scale = scale_for(sum, max_norm);
}

}  // namespace

void ClipScale::launch(CudaStream stream) const {
  if (dimension == 0) return;
  check(*this);
  require<ClipScale>(partial_sums != nullptr, "partial_sums is null, but a GPU needs them");
  const std::size_t count = chunks(dimension);
  launch_kernel(name, sum_squares_kernel, {count}, stream, dimension, vector, partial_sums);
  launch_kernel(name, clip_scale_kernel, {1}, stream, count, partial_sums, max_norm, scale);
}

}  // namespace tardigrad
