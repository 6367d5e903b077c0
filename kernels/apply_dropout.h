#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/bf16.h"
#include "kernels/image_batch.h"

namespace tardigrad {

/// Sets elements of an activation to 0, or of a gradient, and multiplies the others by 1 / (1 − probability),
/// as the mask of dropout_mask.h says:
///
///     output[i] = input[i] / (1 − probability) where the mask keeps the element, 0 elsewhere
///
/// The mask goes by the element's number in [batch, channels, pixels], wherever it lies. Number is float or
/// Bf16; the product is in fp32 and rounded once. The output may be the memory of the input.
///
/// Errors: std::logic_error for a null pointer (start may be one) or 2^32 elements or more; launch() also
/// throws std::runtime_error with CUDA's text. Empty input: nothing is done.
template <typename Number>
struct ApplyDropout {
  static constexpr const char* name = "apply_dropout";

  ImageBatch shape;
  double probability = 0;  ///< In [0, 1).
  /// Is where the mask starts, DropoutMask::start(), in memory, so that a captured launch draws another mask
  /// each time; null copies all elements, as an evaluation does.
  const std::uint64_t* start = nullptr;
  const Number* input = nullptr;
  Number* output = nullptr;

  /// Computes on the calling thread.
  void run() const;

  /// Enqueues one kernel. The current device must be the stream's.
  void launch(CudaStream stream) const;

  double bytes() const;
  double flops() const;
};

}  // namespace tardigrad
