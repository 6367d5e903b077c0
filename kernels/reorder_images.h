#pragma once

#include <cstddef>

#include "kernels/bf16.h"
#include "kernels/image_batch.h"

namespace tardigrad {

/// Copies a batch of images from one memory format to the other. Number is float or Bf16. Outputs overlap
/// nothing.
///
/// Errors: std::logic_error for a null pointer or 2^32 elements or more; launch() also throws
/// std::runtime_error with CUDA's text. Empty input: nothing is done.
template <typename Number>
struct ReorderImages {
  static constexpr const char* name = "reorder_images";

  ImageBatch shape;  ///< With the format of the input.
  const Number* input = nullptr;
  Number* output = nullptr;

  /// Computes on the calling thread.
  void run() const;

  /// Enqueues one kernel. The current device must be the stream's.
  void launch(CudaStream stream) const;

  double bytes() const;
  double flops() const { return 0; }
};

}  // namespace tardigrad
