#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/operation.h"

namespace tardigrad {

/// The result of an evaluation out of what SoftmaxCrossEntropy left for each example: the sum of the losses
/// in float64, and the number of hits. Off the hot path: it answers on the host, so launch() waits for the
/// stream.
///
/// Errors: std::logic_error for a null pointer; launch() also throws std::runtime_error with CUDA's text.
struct EvaluationSums {
  static constexpr const char* name = "evaluation_sums";

  struct Result {
    double loss_sum = 0;
    std::uint64_t hits = 0;
  };

  std::size_t count = 0;               ///< examples
  const float* losses = nullptr;       ///< [count]
  const std::uint8_t* hits = nullptr;  ///< [count], each 0 or 1

  /// Computes on the calling thread.
  [[nodiscard]] Result run() const;

  /// Computes on the stream after what was enqueued before, waits for it and returns the result: the same
  /// bits in every run on the same kind of GPU. The current device must be the stream's.
  [[nodiscard]] Result launch(CudaStream stream) const;

  [[nodiscard]] double bytes() const;
  [[nodiscard]] double flops() const;
};

}  // namespace tardigrad
