#pragma once

#include <cstddef>

#include "kernels/operation.h"

namespace tardigrad {

/// Computes the sums of squares of the chunks of a vector, from which ClipScale takes its norm:
///
///     sums[c] = Σ v[i]²    over the elements of chunk c
///
/// Sums are kept in float64, in which the square of a float is exact, and added in the order of lane_sum.h:
/// they have the same bits on every CPU and GPU and in every run. Chunks know nothing of each other, so that
/// parts of a vector that begin at multiples of `chunk` have the sums of the whole.
///
/// Errors: std::logic_error if a pointer is null; launch() also throws std::runtime_error with CUDA's text.
/// dimension = 0 does nothing.
struct SquareSums {
  static constexpr const char* name = "square_sums";
  static constexpr std::size_t chunk = 4096;

  /// Returns how many sums a vector has.
  static constexpr std::size_t chunks(std::size_t dimension) { return (dimension + chunk - 1) / chunk; }

  std::size_t dimension = 0;
  const float* vector = nullptr;  ///< v [dimension]
  double* sums = nullptr;         ///< [chunks(dimension)]

  /// Computes on the calling thread.
  void run() const;

  /// Enqueues one kernel, of which a block takes a chunk at a time. The current device must be the stream's.
  void launch(CudaStream stream) const;

  double bytes() const;
  double flops() const;
};

}  // namespace tardigrad
