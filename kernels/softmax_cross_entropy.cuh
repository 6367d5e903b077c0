#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/lane_sum.cuh"
#include "kernels/softmax_cross_entropy_math.h"

/// Is what warps do of SoftmaxCrossEntropy, in every kernel that has it.

namespace tardigrad {

/// Are the arguments of SoftmaxCrossEntropy. The gradient may be the memory of the logits: no __restrict__.
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

/// Returns the largest of what the lanes of a warp have, to all of them.
__device__ inline Largest largest_in_warp(Largest largest) {
  for (unsigned half = warp_lanes / 2; half > 0; half /= 2) {
    Largest other;
    other.value = __shfl_xor_sync(0xffffffffU, largest.value, half);
    other.place = __shfl_xor_sync(0xffffffffU, largest.place, half);
    largest.meet(other);
  }
  return largest;
}

/// Computes one example by one warp, and returns its loss to every lane. A logit is read by one lane only,
/// which also writes the gradient in its place.
template <typename Number>
__device__ float cross_entropy_of_row(const CrossEntropyArguments<Number>& a, std::size_t n) {
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
  label_logit = __shfl_sync(0xffffffffU, label_logit, static_cast<int>(label % warp_lanes));
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

/// Writes the mean of the losses of a minibatch, by the first warp of a block.
__device__ inline void write_mean_loss(std::size_t batch, const float* losses, float* loss) {
  double sum = 0;
  for (std::size_t n = threadIdx.x; n < batch; n += warp_lanes) sum += static_cast<double>(losses[n]);
  sum = warp_sum(sum);
  if (threadIdx.x == 0) *loss = static_cast<float>(sum / static_cast<double>(batch));
}

}  // namespace tardigrad
