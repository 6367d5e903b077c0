#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/bf16.h"
#include "kernels/operation.h"
#include "kernels/pool_shape.h"

namespace tardigrad {

/// Does what follows a convolution without bias, in one pass: bias, ReLU and 2×2 max-pool.
///
///     output[n, c, y, x]  = max over the window of max(input[n, c, ·, ·] + bias[c], 0)
///     winners[n, c, y, x] = the window's element (0 … 3, row order) that gets the gradient, or no_winner
///
/// Number is float or Bf16. Sums and comparisons are made in fp32 and the result is rounded to the nearest
/// Number, which is the maximum of the rounded. As Relu followed by MaxPool of models/layers (and PyTorch)
/// decide it: of equal maxima the first wins, NaN counts as larger than any number (the last of several wins)
/// and stays NaN; where the maximum is not above 0 the output is 0 and nothing wins.
///
/// Outputs overlap nothing. Any alignment of whole elements works; fast are addresses aligned to 16 bytes
/// with, channels last, channels in multiples of 4 (bf16: 8) or, channel-major to channel-major, a width in
/// such multiples.
///
/// Errors: std::logic_error for a null pointer or 2^32 windows of one channel or more; launch() also throws
/// std::runtime_error with CUDA's text. Without windows nothing is done.
template <typename Number>
struct BiasReluMaxPool {
  static constexpr const char* name = "bias_relu_max_pool";

  PoolShape shape;
  const Number* input = nullptr;    ///< [batch, channels, height, width] in shape.input_format
  const float* bias = nullptr;      ///< [channels]
  Number* output = nullptr;         ///< [batch, channels, height/2, width/2] in shape.output_format
  std::uint8_t* winners = nullptr;  ///< like `output`; null where no gradient will be asked for

  /// Computes on the calling thread.
  void run() const;

  /// Enqueues one kernel. The current device must be the stream's.
  void launch(CudaStream stream) const;

  double bytes() const;
  double flops() const;
};

}  // namespace tardigrad
