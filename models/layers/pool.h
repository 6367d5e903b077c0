#pragma once

#include <cstddef>
#include <memory>

#include "models/layers/image_layout.h"
#include "models/layers/layer.h"

namespace tardigrad::models {

/// Says which square windows of k×k pixels, a stride apart, are pooled: [batch, channels, height, width] →
/// [batch, channels, out_height, out_width]. What is left over below and to the right is not looked at.
struct PoolWindows {
  int channels = 0;
  int height = 0;
  int width = 0;
  int kernel = 2;
  int stride = 2;
  int padding = 0;  ///< At most half of the kernel.

  int out_height() const { return (height + 2 * padding - kernel) / stride + 1; }
  int out_width() const { return (width + 2 * padding - kernel) / stride + 1; }
  std::size_t input_size() const { return static_cast<std::size_t>(channels) * height * width; }
  std::size_t output_size() const { return static_cast<std::size_t>(channels) * out_height() * out_width(); }
};

/// Takes the maximum of each window. The gradient goes to the first maximum of a window in row order; NaN
/// counts as larger than any number, padding as less. PyTorch's MaxPool2d decides so. See layer.h for the
/// contract.
struct MaxPool : PoolWindows {
  /// Tells whether it is the usual one: 2×2, stride 2.
  bool is_2x2() const { return kernel == 2 && stride == 2 && padding == 0; }
};

/// Takes the mean of each window, of all its k² pixels, in which padding counts as zeros, as in PyTorch's
/// AvgPool2d. See layer.h for the contract.
struct AvgPool : PoolWindows {};

/// Takes the mean of each channel: [batch, channels, height, width] → [batch, channels]. It is PyTorch's
/// AdaptiveAvgPool2d(1), with Flatten behind. See layer.h for the contract.
struct GlobalAvgPool {
  int channels = 0;
  int pixels = 0;  ///< height · width

  std::size_t input_size() const { return static_cast<std::size_t>(channels) * pixels; }
  std::size_t output_size() const { return channels; }
};

namespace plain {
template <typename T>
void forward(const MaxPool& pool, int batch, const T* parameters, const T* input, T* output);
template <typename T>
void backward(const MaxPool& pool, int batch, const T* parameters, const T* input, const T* output_gradient,
              T* input_gradient, T* gradient);
template <typename T>
void forward(const AvgPool& pool, int batch, const T* parameters, const T* input, T* output);
template <typename T>
void backward(const AvgPool& pool, int batch, const T* parameters, const T* input, const T* output_gradient,
              T* input_gradient, T* gradient);
template <typename T>
void forward(const GlobalAvgPool& pool, int batch, const T* parameters, const T* input, T* output);
template <typename T>
void backward(const GlobalAvgPool& pool, int batch, const T* parameters, const T* input,
              const T* output_gradient, T* input_gradient, T* gradient);
}  // namespace plain

/// Makes ReLU and 2×2 max-pool in one pass, between any two memory formats. `output` has the channels of
/// `input` and half its height and width, rounded down. It gives bit for bit what Relu followed by MaxPool
/// gives.
std::unique_ptr<Layer> make_relu_max_pool(const ImageLayout& input, const ImageLayout& output, int batch);

/// Make the layers for activations with channels last, before and behind.
namespace channels_last {
std::unique_ptr<Layer> make_layer(const MaxPool& pool, int batch);
std::unique_ptr<Layer> make_layer(const AvgPool& pool, int batch);
std::unique_ptr<Layer> make_layer(const GlobalAvgPool& pool, int batch);
}  // namespace channels_last

}  // namespace tardigrad::models
