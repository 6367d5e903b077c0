#pragma once

#include <cstddef>

#include "kernels/bf16.h"
#include "kernels/operation.h"

namespace tardigrad {

/// Does what follows the product of a linear layer where the product does not do it itself, in place:
///
///     values[n, o] ← values[n, o] + bias[o], and with `relu` max(that, 0)
///
/// Number is float or Bf16; computed in fp32 and rounded once. NaN stays NaN. Any alignment of whole
/// elements works.
///
/// Errors: std::logic_error for a null pointer; launch() also throws std::runtime_error with CUDA's text.
/// Empty input: nothing is done.
template <typename Number>
struct BiasRelu {
  static constexpr const char* name = "bias_relu";

  std::size_t batch = 0;
  std::size_t outputs = 0;
  bool relu = false;
  const Number* bias = nullptr;  ///< [outputs]
  Number* values = nullptr;      ///< [batch, outputs]

  /// Computes on the calling thread.
  void run() const;

  /// Enqueues one kernel. The current device must be the stream's.
  void launch(CudaStream stream) const;

  double bytes() const;
  double flops() const;
};

/// Computes the gradient of BiasRelu:
///
///     gated[n, o]      = 0 where activation[n, o] ≤ 0, output_gradient[n, o] elsewhere
///     bias_gradient[o] = Σ_n gated[n, o]
///
/// Without an activation, which means without a ReLU, nothing is gated and `gated` not written. It may be the
/// memory of either input. Sums are taken in float64, in the order of lane_sum.h with the lanes of a warp,
/// and rounded to Sum (float or Bf16): a GPU gives the bits of a CPU. NaN in the activation lets the gradient
/// pass, as PyTorch does.
///
/// Errors: std::logic_error for a null pointer (the activation may be one); launch() also throws
/// std::runtime_error with CUDA's text. Without examples the bias gradient is 0.
template <typename Number, typename Sum>
struct BiasReluBackward {
  static constexpr const char* name = "bias_relu_backward";

  std::size_t batch = 0;
  std::size_t outputs = 0;
  const Number* activation = nullptr;       ///< [batch, outputs], after the ReLU; null without one
  const Number* output_gradient = nullptr;  ///< [batch, outputs]
  Number* gated = nullptr;                  ///< [batch, outputs]
  Sum* bias_gradient = nullptr;             ///< [outputs]

  /// Computes on the calling thread.
  void run() const;

  /// Enqueues one kernel. The current device must be the stream's.
  void launch(CudaStream stream) const;

  double bytes() const;
  double flops() const;
};

}  // namespace tardigrad
