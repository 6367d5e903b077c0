#pragma once

#include <cstddef>

#include "kernels/operation.h"

namespace tardigrad {

/// Computes what a vector is to be multiplied with so that its norm becomes at most `max_norm` (clipping of
/// gradients by their norm; SgdStep takes the scale from where this leaves it), from what SquareSums makes of
/// the vector:
///
///     scale = min(1, max_norm / ‖v‖₂),    1 for ‖v‖₂ = 0,    NaN if ‖v‖₂ is not finite
///
/// NaN, so that the loss shows what a scale of 0 would hide. The norm is kept in float64 and added in one
/// order everywhere: `scale` has the same bits on every CPU and GPU and in every run.
///
/// Errors: std::logic_error if the sums or the scale are null or max_norm is not above 0; launch() also
/// throws std::runtime_error with CUDA's text. count = 0 does nothing. Outputs overlap nothing.
struct ClipScale {
  static constexpr const char* name = "clip_scale";

  std::size_t count = 0;                ///< chunks of v
  const double* square_sums = nullptr;  ///< [count]
  float max_norm = 1;                   ///< may be infinite: then only what is not finite changes the scale
  float* scale = nullptr;               ///< [1]

  /// Computes on the calling thread.
  void run() const;

  /// Enqueues one kernel, of one block. The current device must be the stream's.
  void launch(CudaStream stream) const;

  double bytes() const;
  double flops() const;
};

}  // namespace tardigrad
