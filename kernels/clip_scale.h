#pragma once

#include <cstddef>

#include "kernels/operation.h"

namespace tardigrad {

/// Computes what a vector is to be multiplied with so that its norm becomes at most `max_norm` (clipping of
/// gradients by their norm; SgdStep takes the scale from where this leaves it):
///
///     scale = min(1, max_norm / ‖v‖₂),    1 for ‖v‖₂ = 0,    NaN if ‖v‖₂ is not finite
///
/// NaN, so that the loss shows what a scale of 0 would hide. The norm is kept in float64, in which the square
/// of a float is exact, and added in one order everywhere, first within chunks of the vector and then over
/// them: `scale` has the same bits on every CPU and GPU and in every run.
///
/// Errors: std::logic_error if the vector or the scale is null (for launch() also if `partial_sums` is) or
/// max_norm is not above 0; launch() also throws std::runtime_error with CUDA's text. dimension = 0 does
/// nothing. Outputs overlap nothing.
struct ClipScale {
  static constexpr const char* name = "clip_scale";
  static constexpr std::size_t chunk = 4096;

  /// Returns how many partial sums a vector has.
  static constexpr std::size_t chunks(std::size_t dimension) { return (dimension + chunk - 1) / chunk; }

  std::size_t dimension = 0;
  const float* vector = nullptr;   ///< v [dimension]
  float max_norm = 1;              ///< may be infinite: then only what is not finite changes the scale
  double* partial_sums = nullptr;  ///< [chunks(dimension)], scratch; needed by launch() only
  float* scale = nullptr;          ///< [1]

  /// Computes on the calling thread.
  void run() const;

  /// Enqueues two kernels: in the first a block takes a chunk at a time, in the second one block their sums.
  /// The current device must be the stream's.
  void launch(CudaStream stream) const;

  double bytes() const;
  double flops() const;
};

}  // namespace tardigrad
