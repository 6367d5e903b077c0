#pragma once

#include <cstddef>

#include "kernels/add_parts.h"
#include "kernels/bf16.h"
#include "kernels/image_batch.h"

namespace tardigrad {

/// Adds the bias of a convolution to its sums, in place:
///
///     values[n, c, p] ← values[n, c, p] + bias[c], and with `relu` max(that, 0)
///
/// Number is float or Bf16; computed in fp32 and rounded once. NaN stays NaN. Any alignment of whole elements
/// works. Where ReLU and the usual max-pool follow, bias_relu_max_pool.h does all in one pass.
///
/// Errors: std::logic_error for a null pointer or 2^32 elements or more; launch() also throws
/// std::runtime_error with CUDA's text. Empty input: nothing is done.
template <typename Number>
struct ChannelBias {
  static constexpr const char* name = "channel_bias";

  ImageBatch shape;
  bool relu = false;
  const float* bias = nullptr;  ///< [channels]
  Number* values = nullptr;

  /// Computes on the calling thread.
  void run() const;

  /// Enqueues one kernel. The current device must be the stream's.
  void launch(CudaStream stream) const;

  double bytes() const;
  double flops() const;
};

/// Computes the gradient of ChannelBias:
///
///     gated[n, c, p]        = 0 where activation[n, c, p] ≤ 0, output_gradient[n, c, p] elsewhere
///     partial_sums[part, c] = Σ gated[·, c, ·] over a part, which add up to the bias gradient
///
/// Without an activation, which means without a ReLU, nothing is gated and `gated` not written. It may be the
/// memory of either input. The sums are as in BiasReluMaxPoolBackward: on a GPU in fp32, in the same order
/// for the same shape; on a CPU in float64.
///
/// Errors: std::logic_error for a null pointer (the activation may be one) or 2^32 elements or more; launch()
/// also throws std::runtime_error with CUDA's text. Without images there are no parts, and nothing is done.
template <typename Number>
struct ChannelBiasBackward {
  static constexpr const char* name = "channel_bias_backward";

  ImageBatch shape;
  const Number* activation = nullptr;  ///< What ChannelBias gave, or null.
  const Number* output_gradient = nullptr;
  Number* gated = nullptr;
  float* partial_sums = nullptr;  ///< [parts, channels], as sums(shape) counts them

  static PartialSums sums(const ImageBatch& shape);

  /// Computes on the calling thread.
  void run() const;

  /// Enqueues one kernel. The current device must be the stream's.
  void launch(CudaStream stream) const;

  double bytes() const;
  double flops() const;
};

}  // namespace tardigrad
