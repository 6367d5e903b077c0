#pragma once

#include <cstddef>
#include <memory>

#include "models/layers/image_layout.h"
#include "models/layers/layer.h"

namespace tardigrad::models {

/// Is a 3×3 convolution (cross-correlation, as everywhere in deep learning), stride 1, zero padding 1:
///   output[n,o,y,x] = bias[o] + Σ_{c,i,j} weight[o,c,i,j] · input[n,c,y+i-1,x+j-1]
/// input [batch, in_channels, height, width], output [batch, out_channels, height, width],
/// weight [out_channels, in_channels, 3, 3], bias [out_channels]. See layer.h for the contract.
struct Conv3x3 {
  int in_channels = 0;
  int out_channels = 0;
  int height = 0;
  int width = 0;
  std::size_t weight_offset = 0;  ///< In the flat parameters, in elements; likewise bias_offset.
  std::size_t bias_offset = 0;

  std::size_t output_size() const { return static_cast<std::size_t>(out_channels) * height * width; }
};

namespace plain {
template <typename T>
void forward(const Conv3x3& conv, int batch, const T* parameters, const T* input, T* output);
template <typename T>
void backward(const Conv3x3& conv, int batch, const T* parameters, const T* input, const T* output_gradient,
              T* input_gradient, T* gradient);
}  // namespace plain

namespace onednn {
/// Holds a convolution and the memory format that oneDNN computes it fastest in.
struct ConvLayer {
  std::unique_ptr<Layer> layer;
  ImageLayout output;
};

/// Makes the layer. `input` is the format of what it is given: a network's images in NCHW (then it computes
/// no gradient with respect to them: std::logic_error), or an activation with channels last.
ConvLayer make_layer(const Conv3x3& conv, int batch, const ImageLayout& input);
}  // namespace onednn

}  // namespace tardigrad::models
