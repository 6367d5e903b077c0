#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/add_parts.h"
#include "kernels/bf16.h"
#include "kernels/operation.h"
#include "kernels/pool_shape.h"

namespace tardigrad {

/// Computes the gradient of BiasReluMaxPool:
///
///     input_gradient[n, c, ·, ·] = output_gradient[n, c, y, x] at the window's winner, 0 elsewhere
///     partial_sums[part, c]      = Σ input_gradient[·, c, ·, ·] over a part
///
/// The partial sums add up to the bias gradient.
///
/// Number is float or Bf16. Every element of the input gradient is written, those of an odd last row or
/// column too (0). The sums have a fixed order, without atomics: a GPU gives the same bits in every run of
/// the same shape and alignment. It adds in fp32; a CPU in float64, and rounds the sum of each part.
///
/// Outputs overlap nothing. Alignment is as for BiasReluMaxPool.
///
/// Errors: std::logic_error for a null pointer or 2^32 windows of one channel or more; launch() also throws
/// std::runtime_error with CUDA's text. Without windows the input gradient is 0, and there are no parts;
/// without channels nothing is done.
template <typename Number>
struct BiasReluMaxPoolBackward {
  static constexpr const char* name = "bias_relu_max_pool_backward";

  PoolShape shape;                          ///< of the forward pass
  const Number* output_gradient = nullptr;  ///< [batch, channels, height/2, width/2] in shape.output_format
  const std::uint8_t* winners = nullptr;    ///< like `output_gradient`
  Number* input_gradient = nullptr;         ///< [batch, channels, height, width] in shape.input_format
  float* partial_sums = nullptr;            ///< [parts, channels], as sums(shape) counts them

  static PartialSums sums(const PoolShape& shape);

  /// Computes on the calling thread.
  void run() const;

  /// Enqueues one kernel. The current device must be the stream's.
  void launch(CudaStream stream) const;

  double bytes() const;
  double flops() const;
};

}  // namespace tardigrad
