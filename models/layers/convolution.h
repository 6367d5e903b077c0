#pragma once

#include <cstddef>
#include <memory>
#include <optional>

#include "models/layers/image_layout.h"
#include "models/layers/layer.h"

namespace tardigrad::models {

/// Is a convolution (cross-correlation, as everywhere in deep learning) with a square kernel of k×k, stride s
/// and zero padding p; where g > 1, output channel o reads only the input channels of its group:
///   output[n,o,y,x] = bias[o] + Σ_{c,i,j} weight[o,c,i,j] · input[n,first(o)+c,y·s+i-p,x·s+j-p]
/// input [batch, in_channels, height, width], output [batch, out_channels, out_height, out_width],
/// weight [out_channels, in_channels / g, k, k], bias [out_channels]. See layer.h for the contract.
struct Convolution {
  int in_channels = 0;
  int out_channels = 0;
  int height = 0;  ///< Of the input.
  int width = 0;
  std::size_t weight_offset = 0;                ///< In the flat parameters, in elements.
  std::optional<std::size_t> bias_offset = {};  ///< Nothing where it adds none.
  int kernel = 3;
  int stride = 1;
  int padding = 1;
  int groups = 1;

  int out_height() const { return (height + 2 * padding - kernel) / stride + 1; }
  int out_width() const { return (width + 2 * padding - kernel) / stride + 1; }
  int group_inputs() const { return in_channels / groups; }
  std::size_t input_size() const { return static_cast<std::size_t>(in_channels) * height * width; }
  std::size_t output_size() const {
    return static_cast<std::size_t>(out_channels) * out_height() * out_width();
  }
  std::size_t weight_size() const {
    return static_cast<std::size_t>(out_channels) * group_inputs() * kernel * kernel;
  }
};

namespace plain {
template <typename T>
void forward(const Convolution& conv, int batch, const T* parameters, const T* input, T* output);
template <typename T>
void backward(const Convolution& conv, int batch, const T* parameters, const T* input,
              const T* output_gradient, T* input_gradient, T* gradient);
}  // namespace plain

namespace onednn {
/// Holds a convolution and the memory format that oneDNN computes it fastest in.
struct ConvLayer {
  std::unique_ptr<Layer> layer;
  ImageLayout output;
};

/// Makes the layer. `input` is the format of what it is given. Where that is a network's images, in NCHW, it
/// computes no gradient with respect to them (std::logic_error) and writes what it likes; where it is an
/// activation, it reads and writes channels last.
ConvLayer make_layer(const Convolution& conv, int batch, const ImageLayout& input, bool reads_images);
}  // namespace onednn

}  // namespace tardigrad::models
