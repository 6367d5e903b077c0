#include "kernels/softmax_cross_entropy.h"

#include <cstdint>

#include "kernels/launch.cuh"
#include "kernels/require.h"
#include "kernels/softmax_cross_entropy.cuh"

namespace tardigrad {
namespace {

/// Of the block that does all by itself.
constexpr int threads_of_one_block = 1024;

/// A warp takes one example at a time.
template <typename Number>
__global__ void __launch_bounds__(threads_per_block) cross_entropy_kernel(CrossEntropyArguments<Number> a) {
  const std::size_t examples = a.minibatches * a.batch;
  for (std::size_t n = grid_first() / warp_lanes; n < examples; n += grid_stride() / warp_lanes) {
    cross_entropy_of_row(a, n);
  }
}

/// A block takes one minibatch at a time, and keeps the losses to itself.
template <typename Number>
__global__ void __launch_bounds__(threads_of_one_block)
    cross_entropy_with_mean_kernel(CrossEntropyArguments<Number> a, float* loss) {
  __shared__ float losses[SoftmaxCrossEntropy<Number>::block_batch];
  for (std::size_t m = blockIdx.x; m < a.minibatches; m += gridDim.x) {
    for (std::size_t n = threadIdx.x / warp_lanes; n < a.batch; n += threads_of_one_block / warp_lanes) {
      const float loss_of_row = cross_entropy_of_row(a, m * a.batch + n);
      if (threadIdx.x % warp_lanes == 0) losses[n] = loss_of_row;
    }
    __syncthreads();
    if (threadIdx.x < warp_lanes) write_mean_loss(a.batch, losses, loss + m);
    __syncthreads();  // before the next minibatch's losses come
  }
}

/// A block of one warp takes one minibatch at a time.
__global__ void __launch_bounds__(warp_lanes)
    mean_loss_kernel(std::size_t minibatches, std::size_t batch, const float* __restrict__ losses,
                     float* __restrict__ loss) {
  for (std::size_t m = blockIdx.x; m < minibatches; m += gridDim.x) {
    write_mean_loss(batch, losses + m * batch, loss + m);
  }
}

}  // namespace

template <typename Number>
void SoftmaxCrossEntropy<Number>::launch(CudaStream stream) const {
  if (batch == 0 || minibatches == 0) return;
  check(*this);
  require<SoftmaxCrossEntropy>(loss == nullptr || losses != nullptr || batch <= block_batch,
                               "losses is null, but a GPU needs them for a loss over so many examples");
  const CrossEntropyArguments<Number> arguments{
      minibatches, batch, static_cast<unsigned>(classes), logits, labels, gradient, losses, hits};
  if (loss != nullptr && batch <= block_batch) {
    launch_kernel(name, cross_entropy_with_mean_kernel<Number>, {minibatches, threads_of_one_block}, stream,
                  arguments, loss);
    return;
  }
  launch_kernel(name, cross_entropy_kernel<Number>, grid_for(minibatches * batch * warp_lanes), stream,
                arguments);
  if (loss != nullptr) {
    launch_kernel(name, mean_loss_kernel, {minibatches, static_cast<int>(warp_lanes)}, stream, minibatches,
                  batch, losses, loss);
  }
}

template void SoftmaxCrossEntropy<float>::launch(CudaStream) const;
template void SoftmaxCrossEntropy<Bf16>::launch(CudaStream) const;

}  // namespace tardigrad
