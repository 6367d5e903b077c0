#pragma once

#include <cstddef>

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
///     gated[n, c, p]   = 0 where activation[n, c, p] ≤ 0, output_gradient[n, c, p] elsewhere
///     bias_gradient[c] = Σ gated[·, c, ·]
///
/// Without an activation, which means without a ReLU, nothing is gated and `gated` not written. It may be the
/// memory of either input. The sums are as in BiasReluMaxPoolBackward: on a GPU in fp32 over parts of the
/// batch and then in float64, in the same order for the same shape; on a CPU in float64.
///
/// Errors: std::logic_error for a null pointer (the activation may be one) or 2^32 elements or more; launch()
/// also throws std::runtime_error with CUDA's text. Without images the bias gradient is 0; without channels
/// nothing is done.
template <typename Number>
struct ChannelBiasBackward {
  static constexpr const char* name = "channel_bias_backward";

  ImageBatch shape;
  const Number* activation = nullptr;  ///< What ChannelBias gave, or null.
  const Number* output_gradient = nullptr;
  Number* gated = nullptr;
  float* bias_gradient = nullptr;  ///< [channels]
  float* partial_sums = nullptr;   ///< [partial_sums_size(shape)], scratch; needed by launch() only

  /// Returns how many floats of scratch launch() needs.
  static std::size_t partial_sums_size(const ImageBatch& shape);

  /// Computes on the calling thread.
  void run() const;

  /// Enqueues two kernels. The current device must be the stream's.
  void launch(CudaStream stream) const;

  double bytes() const;
  double flops() const;
};

}  // namespace tardigrad
