#pragma once

#include <cstddef>

#include "kernels/operation.h"

namespace tardigrad {

/// Adds up, in float64, the losses that SoftmaxCrossEntropy left for each example of an evaluation. It is off
/// the hot path: it answers on the host, so launch() waits for the stream.
///
/// Errors: std::logic_error for a null pointer; launch() also throws std::runtime_error with CUDA's text.
struct LossSum {
  static constexpr const char* name = "loss_sum";

  std::size_t count = 0;          ///< examples
  const float* losses = nullptr;  ///< [count]

  /// Computes on the calling thread.
  double run() const;

  /// Computes on the stream after what was enqueued before, waits for it and returns the sum: the same bits
  /// in every run on the same kind of GPU. The current device must be the stream's.
  double launch(CudaStream stream) const;

  double bytes() const;
  double flops() const;
};

}  // namespace tardigrad
