#include "kernels/clip_scale.h"

#include "kernels/clip_scale_math.h"
#include "kernels/lane_sum.cuh"
#include "kernels/launch.cuh"

namespace tardigrad {
namespace {

static_assert(clip_lanes == threads_per_block, "block_sum() adds the lanes of one sum");

/// One block.
__global__ void __launch_bounds__(threads_per_block)
    clip_scale_kernel(std::size_t count, const double* __restrict__ square_sums, float max_norm,
                      float* __restrict__ scale) {
  double sum = 0;
  for (std::size_t i = threadIdx.x; i < count; i += threads_per_block) sum += square_sums[i];
  sum = block_sum(sum);
  if (threadIdx.x == 0) *scale = scale_for(sum, max_norm);
}

}  // namespace

void ClipScale::launch(CudaStream stream) const {
  if (count == 0) return;
  check(*this);
  launch_kernel(name, clip_scale_kernel, {1}, stream, count, square_sums, max_norm, scale);
}

}  // namespace tardigrad
