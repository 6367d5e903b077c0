#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/bf16.h"
#include "kernels/memory_format.h"
#include "kernels/operation.h"

/// Is pooling by windows of any size; bias_relu_max_pool.h is the fast way to the usual one. In all of these
/// Number is float or Bf16; sums are in fp32, in row order, and rounded once, so a GPU gives the bits of a
/// CPU. Outputs overlap nothing. Any alignment of whole elements works.
///
/// Errors: std::logic_error for a null pointer or 2^32 elements or more; launch() also throws
/// std::runtime_error with CUDA's text. Without elements nothing is done.

namespace tardigrad {

/// Describes the images that windows are taken of, a stride apart, and those that this makes: padding goes
/// around, and what is left over below and to the right belongs to no window. A window lies on one pixel of
/// the image or more.
struct WindowShape {
  std::size_t batch = 0, channels = 0, height = 0, width = 0;  ///< of the input
  unsigned window_height = 2, window_width = 2, stride = 2, padding = 0;
  MemoryFormat format = MemoryFormat::channel_major;  ///< of both

  TARDIGRAD_HOST_DEVICE std::size_t output_height() const {
    return (height + std::size_t{2} * padding - window_height) / stride + 1;
  }
  TARDIGRAD_HOST_DEVICE std::size_t output_width() const {
    return (width + std::size_t{2} * padding - window_width) / stride + 1;
  }
  TARDIGRAD_HOST_DEVICE std::size_t input_size() const { return batch * channels * height * width; }
  TARDIGRAD_HOST_DEVICE std::size_t output_size() const {
    return batch * channels * output_height() * output_width();
  }
};

/// Takes the maximum of each window, the first of several in row order, of NaNs the last. NaN counts as
/// larger than any number, padding as less.
template <typename Number>
struct MaxPoolForward {
  static constexpr const char* name = "max_pool";

  WindowShape shape;
  const Number* input = nullptr;     ///< [batch, channels, height, width] in shape.format
  Number* output = nullptr;          ///< [batch, channels, output_height, output_width]
  std::uint32_t* winners = nullptr;  ///< like `output`: the pixel, y · width + x, that it comes from

  /// Computes on the calling thread.
  void run() const;
  /// Enqueues one kernel. The current device must be the stream's.
  void launch(CudaStream stream) const;
  double bytes() const;
  double flops() const;
};

/// Gives each pixel the sum of the gradients of the windows that it has won.
template <typename Number>
struct MaxPoolBackward {
  static constexpr const char* name = "max_pool_backward";

  WindowShape shape;
  const Number* output_gradient = nullptr;
  const std::uint32_t* winners = nullptr;
  Number* input_gradient = nullptr;

  /// Computes on the calling thread.
  void run() const;
  /// Enqueues one kernel. The current device must be the stream's.
  void launch(CudaStream stream) const;
  double bytes() const;
  double flops() const;
};

/// Takes the mean of each window, of all its pixels, in which padding counts as zeros.
template <typename Number>
struct AvgPoolForward {
  static constexpr const char* name = "avg_pool";

  WindowShape shape;
  const Number* input = nullptr;
  Number* output = nullptr;

  /// Computes on the calling thread.
  void run() const;
  /// Enqueues one kernel. The current device must be the stream's.
  void launch(CudaStream stream) const;
  double bytes() const;
  double flops() const;
};

/// Gives each pixel its part of the gradient of every window that it is in.
template <typename Number>
struct AvgPoolBackward {
  static constexpr const char* name = "avg_pool_backward";

  WindowShape shape;
  const Number* output_gradient = nullptr;
  Number* input_gradient = nullptr;

  /// Computes on the calling thread.
  void run() const;
  /// Enqueues one kernel. The current device must be the stream's.
  void launch(CudaStream stream) const;
  double bytes() const;
  double flops() const;
};

}  // namespace tardigrad
