#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/bf16.h"
#include "kernels/operation.h"

namespace tardigrad {

/// Computes the last layer of a classifier, and its gradient:
///
///     losses[n]   = log Σ_k exp(logits[n, k]) − logits[n, labels[n]]     in nats
///     loss        = 1/B Σ losses
///     gradient    = ∂ loss / ∂ logits = (softmax(logits) − one-hot(labels)) / B
///     hits[n]     = 1 if the largest logit, the first of equals, is the label's, else 0
///
/// of each of M minibatches. Number is float or Bf16. Whatever is null is left out. Each row is shifted by
/// its largest logit, so nothing overflows; exponentials are taken in fp32 and summed in float64. A NaN or
/// +infinity among its logits makes the loss and the gradient of a row NaN. A minibatch's loss is the sum of
/// its fp32 `losses` in float64, in the order of lane_sum.h with the lanes of a warp, whatever the others
/// are.
///
/// `gradient` may be the memory of `logits`; otherwise outputs overlap nothing. A label that is not in
/// [0, classes) is undefined behaviour.
///
/// Errors: std::logic_error if the logits or the labels are null, or there are no classes; launch() also if
/// a loss over more than block_batch examples is asked for without `losses`, and std::runtime_error with
/// CUDA's text. An empty batch does nothing.
template <typename Number>
struct SoftmaxCrossEntropy {
  static constexpr const char* name = "softmax_cross_entropy";

  /// Limits the examples of a minibatch for which launch() computes `loss` without needing `losses`, in one
  /// block.
  static constexpr std::size_t block_batch = 256;

  std::size_t batch = 0;                 ///< B
  std::size_t classes = 0;               ///< K
  const Number* logits = nullptr;        ///< [M, B, K]
  const std::int32_t* labels = nullptr;  ///< [M, B]

  Number* gradient = nullptr;    ///< [M, B, K], or null
  float* loss = nullptr;         ///< [M], or null; may be host memory that the device can write
  float* losses = nullptr;       ///< [M, B], or null
  std::uint8_t* hits = nullptr;  ///< [M, B], or null

  std::size_t minibatches = 1;  ///< M

  /// Computes on the calling thread.
  void run() const;

  /// Enqueues one kernel, or two for losses over more than block_batch examples. The current device must be
  /// the stream's.
  void launch(CudaStream stream) const;

  double bytes() const;
  double flops() const;
};

}  // namespace tardigrad
