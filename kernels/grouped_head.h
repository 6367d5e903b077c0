#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "kernels/grouped_linear.h"

namespace tardigrad {

/// Computes the last layer of a classifier for several jobs, each with parameters of its own, forward and
/// backward: in one kernel what GroupedLinear, SoftmaxCrossEntropy and GroupedLinearBackward do one after
/// another, with the same bits.
///
///     logits[k, n, o]  = bias_k[o] + Σ_i input[k, n, i] · weight_k[o, i], which go nowhere
///     losses[k]        = the mean cross-entropy of job k's minibatch, in nats
///     gradients_k      ← those of losses[k] with respect to weight and bias
///     input_gradient   ← that with respect to the input, if it is not null; with `relu_before` 0 where the
///                        input is ≤ 0
///
/// A GPU gives each job a block, so the layer must be small (takes()). A label that is not in [0, outputs) is
/// undefined behaviour. Nothing overlaps.
///
/// Errors: as GroupedLinear, and std::logic_error for more outputs than most_outputs.
struct GroupedHead : GroupOfLinears {
  static constexpr const char* name = "grouped_head";

  static constexpr std::size_t most_outputs = 64;  ///< A block keeps the logits of its examples.

  /// Tells whether a layer is small enough for a block to be the faster way.
  static bool takes(std::size_t inputs, std::size_t outputs) {
    return outputs <= most_outputs && inputs * outputs <= std::size_t{1} << 13;
  }

  bool relu_before = false;
  std::array<const float*, most_jobs> parameters = {};  ///< of each job, a flat vector
  std::array<float*, most_jobs> gradients = {};         ///< likewise
  const float* input = nullptr;                         ///< [jobs, B, inputs]
  const std::int32_t* labels = nullptr;                 ///< [jobs, B]
  float* input_gradient = nullptr;                      ///< [jobs, B, inputs], or null
  float* losses = nullptr;  ///< [jobs]; may be host memory that the device can write

  /// Computes on the calling thread.
  void run() const;

  /// Enqueues one kernel. The current device must be the stream's.
  void launch(CudaStream stream) const;

  double bytes() const;
  double flops() const;
};

}  // namespace tardigrad
