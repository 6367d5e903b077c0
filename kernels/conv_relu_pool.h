#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/add_parts.h"
#include "kernels/bf16.h"
#include "kernels/image_batch.h"
#include "kernels/operation.h"
#include "kernels/pool_shape.h"

namespace tardigrad {

/// Describes a convolution of images of few channels, with stride 1, whose output is pooled 2×2.
struct ConvPoolShape {
  std::size_t batch = 0, input_channels = 0, height = 0, width = 0;  ///< of the images
  std::size_t channels = 0;                                          ///< of the output
  unsigned kernel = 3;                                               ///< of kernel × kernel
  unsigned padding = 1;                                              ///< with zeros, on all four sides
  MemoryFormat input_format = MemoryFormat::channel_major;
  MemoryFormat output_format = MemoryFormat::channel_major;

  /// Returns the shape of the pool that reads what the convolution gives. Where the kernel is larger than the
  /// padded images, that has no windows.
  PoolShape pool() const;

  std::size_t input_size() const { return batch * input_channels * height * width; }
  std::size_t output_size() const { return pool().output_size(); }
  /// Returns the number of weights of one output channel.
  std::size_t weights_of_one() const { return input_channels * kernel * kernel; }
  std::size_t weight_size() const { return channels * weights_of_one(); }
  /// Returns the weights as an image with their output channels last, as partial sums of their gradients lie.
  ImageBatch weight_order() const { return {1, channels, weights_of_one(), MemoryFormat::channels_last}; }

  /// Tells whether there are kernels for it: kernel is 3 or 5, padding less than that, the input has at most
  /// four channels, and its rows are short enough for the memory that a block of a GPU shares (6144 floats
  /// for kernel + 1 rows of all channels).
  bool is_supported() const;
};

/// Computes a convolution with bias, ReLU and 2×2 max-pool in one pass; what the convolution gives is never
/// in memory.
///
///     sums[n, o, y, x]   = Σ_{c,i,j} weight[o, c, i, j] · input[n, c, y + i − padding, x + j − padding]
///     output and winners = those of BiasReluMaxPool for these sums and the bias
///
/// Number is float or Bf16, of input and output; the rest is fp32. The terms are added in fp32, in the order
/// of c, i and j, those of the padding as weight · 0 among them; the result is rounded once.
///
/// Outputs overlap nothing. Any alignment of whole elements works.
///
/// Errors: std::logic_error for a null pointer, a shape that is not supported, or 2^32 windows of one channel
/// or more; launch() also throws std::runtime_error with CUDA's text. Without windows nothing is done.
template <typename Number>
struct ConvReluPool {
  static constexpr const char* name = "conv_relu_pool";

  ConvPoolShape shape;
  const Number* input = nullptr;    ///< [batch, input_channels, height, width] in shape.input_format
  const float* weight = nullptr;    ///< [channels, input_channels, kernel, kernel]
  const float* bias = nullptr;      ///< [channels]
  Number* output = nullptr;         ///< of shape.pool(), in shape.output_format
  std::uint8_t* winners = nullptr;  ///< like `output`; null where no gradient will be asked for

  /// Computes on the calling thread.
  void run() const;

  /// Enqueues one kernel. The current device must be the stream's.
  void launch(CudaStream stream) const;

  double bytes() const;
  double flops() const;
};

/// Computes the gradient of ConvReluPool with respect to its parameters. The images have none.
///
///     sums_gradient               = the input gradient of BiasReluMaxPoolBackward
///     weight_gradient[o, c, i, j] = Σ_{n,y,x} sums_gradient[n, o, y, x] ·
///                                   input[n, c, y + i − padding, x + j − padding]
///     bias_gradient[o]            = Σ_{n,y,x} sums_gradient[n, o, y, x]
///     partial_sums[part]          = these for a part of the batch: weights in shape.weight_order(), biases
///
/// Of a window's four elements only the winner has a part in the sums, which are a quarter as long therefore
/// as those of a convolution that knows nothing of the pool. Their order is fixed by the shape, without
/// atomics. A GPU adds in fp32; a CPU in float64, and rounds the sum of each part.
///
/// Outputs overlap nothing. Errors are those of ConvReluPool. Without windows there are no parts, and nothing
/// is done.
template <typename Number>
struct ConvReluPoolBackward {
  static constexpr const char* name = "conv_relu_pool_backward";

  ConvPoolShape shape;                      ///< of the forward pass
  const Number* input = nullptr;            ///< of the forward pass
  const Number* output_gradient = nullptr;  ///< like the output of the forward pass
  const std::uint8_t* winners = nullptr;    ///< of the forward pass
  float* partial_sums = nullptr;            ///< [parts, weights + channels], as sums(shape) counts them

  static PartialSums sums(const ConvPoolShape& shape);

  /// Computes on the calling thread.
  void run() const;

  /// Enqueues one kernel. The current device must be the stream's.
  void launch(CudaStream stream) const;

  double bytes() const;
  double flops() const;
};

}  // namespace tardigrad
