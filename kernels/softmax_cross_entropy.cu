#include "kernels/softmax_cross_entropy.h"

#include <cstdint>

#include "kernels/lane_sum.cuh"
#include "kernels/launch.cuh"
#include "kernels/require.h"
#include "kernels/softmax_cross_entropy_math.h"

namespace tardigrad {
namespace {

constexpr unsigned every_lane = 0xffffffffU;

/// Of the block that does all by itself.
constexpr int threads_of_one_block = 1024;

/// The gradient may be the memory of the logits: no __restrict__.
template <typename Number>
struct CrossEntropyArguments {
  std::size_t minibatches;
  std::size_t batch;
  unsigned classes;
  const Number* logits;
  const std::int32_t* labels;
  Number* gradient;
  float* losses;
  std::uint8_t* hits;
};

/// The largest of what the lanes of a warp have, for all of them.
__device__ Largest largest_in_warp(Largest largest) {
  for (unsigned half = warp_lanes / 2; half > 0; half /= 2) {
    Largest other;
    other.value = __shfl_xor_sync(every_lane, largest.value, half);
    other.place = __shfl_xor_sync(every_lane, largest.place, half);
    largest.meet(other);
  }
  return largest;
}

/// The same sum for all lanes: both sides of an exchange add the same two numbers.
__device__ double sum_in_warp(double sum) {
  for (unsigned half = warp_lanes / 2; half > 0; half /= 2) sum += __shfl_xor_sync(every_lane, sum, half);
  return sum;
}

/// One example by one warp; returns its loss to every lane. A logit is read by one lane only, which also
/// writes the gradient in its place.
template <typename Number>
__device__ float compute_row(const CrossEntropyArguments<Number>& a, std::size_t n) {
  const unsigned lane = threadIdx.x % warp_lanes;
  const Number* const logits = a.logits + n * a.classes;
  const auto label = static_cast<unsigned>(a.labels[n]);
  Largest largest;
  float label_logit = 0;
  for (unsigned k = lane; k < a.classes; k += warp_lanes) {
    const float logit = widen(logits[k]);
    largest.meet(largest_of(logit, k));
    label_logit = k == label ? logit : label_logit;
  }
  largest = largest_in_warp(largest);
  label_logit = __shfl_sync(every_lane, label_logit, static_cast<int>(label % warp_lanes));
  double sum = 0;
  for (unsigned k = lane; k < a.classes; k += warp_lanes) {
    sum += static_cast<double>(exponential(widen(logits[k]), largest.value));
  }
  sum = sum_in_warp(sum);
  if (a.gradient != nullptr) {
    Number* const gradient = a.gradient + n * a.classes;
    const float scale = gradient_scale(sum, a.batch);
    for (unsigned k = lane; k < a.classes; k += warp_lanes) {
      gradient[k] = nearest<Number>(
          gradient_of(exponential(widen(logits[k]), largest.value), scale, k == label, a.batch));
    }
  }
  const float loss = loss_of(sum, label_logit, largest.value);
  if (lane == 0 && a.losses != nullptr) a.losses[n] = loss;
  if (lane == 0 && a.hits != nullptr) a.hits[n] = largest.place == label ? 1 : 0;
  return loss;
}

/// The mean of the losses of a minibatch, by one warp.
__device__ void write_mean(std::size_t batch, const float* losses, float* loss) {
  double sum = 0;
  for (std::size_t n = threadIdx.x; n < batch; n += warp_lanes) sum += static_cast<double>(losses[n]);
  sum = warp_sum(sum);
  if (threadIdx.x == 0) *loss = static_cast<float>(sum / static_cast<double>(batch));
}

/// A warp takes one example at a time.
template <typename Number>
__global__ void __launch_bounds__(threads_per_block) cross_entropy_kernel(CrossEntropyArguments<Number> a) {
  const std::size_t examples = a.minibatches * a.batch;
  for (std::size_t n = grid_first() / warp_lanes; n < examples; n += grid_stride() / warp_lanes) {
    compute_row(a, n);
  }
}

/// A block takes one minibatch at a time, and keeps the losses to itself.
template <typename Number>
__global__ void __launch_bounds__(threads_of_one_block)
    cross_entropy_with_mean_kernel(CrossEntropyArguments<Number> a, float* loss) {
  __shared__ float losses[SoftmaxCrossEntropy<Number>::block_batch];
  for (std::size_t m = blockIdx.x; m < a.minibatches; m += gridDim.x) {
    for (std::size_t n = threadIdx.x / warp_lanes; n < a.batch; n += threads_of_one_block / warp_lanes) {
      const float loss_of_row = compute_row(a, m * a.batch + n);
      if (threadIdx.x % warp_lanes == 0) losses[n] = loss_of_row;
    }
    __syncthreads();
    if (threadIdx.x < warp_lanes) write_mean(a.batch, losses, loss + m);
    __syncthreads();  // before the next minibatch's losses come
  }
}

/// A block of one warp takes one minibatch at a time.
__global__ void __launch_bounds__(warp_lanes)
    mean_loss_kernel(std::size_t minibatches, std::size_t batch, const float* __restrict__ losses,
                     float* __restrict__ loss) {
  for (std::size_t m = blockIdx.x; m < minibatches; m += gridDim.x) {
    write_mean(batch, losses + m * batch, loss + m);
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
