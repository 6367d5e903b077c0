#pragma once

#include <cstddef>
#include <memory>

#include "models/layers/image_layout.h"
#include "models/layers/layer.h"

namespace tardigrad::models {

/// Takes the maximum of each 2×2 window, stride 2: [batch, channels, height, width] → [batch, channels,
/// height/2, width/2], rounded down, so an odd last row or column is not looked at and has gradient 0. The
/// gradient goes to the first maximum of a window in row order; NaN counts as larger than any number. PyTorch
/// decides both so. See layer.h for the contract.
struct MaxPool2x2 {
  int channels = 0;
  int height = 0;
  int width = 0;

  std::size_t output_size() const { return static_cast<std::size_t>(channels) * (height / 2) * (width / 2); }
};

namespace plain {
template <typename T>
void forward(const MaxPool2x2& pool, int batch, const T* parameters, const T* input, T* output);
template <typename T>
void backward(const MaxPool2x2& pool, int batch, const T* parameters, const T* input,
              const T* output_gradient, T* input_gradient, T* gradient);
}  // namespace plain

/// Makes ReLU and 2×2 max-pool in one pass, between any two memory formats. `output` has the channels of
/// `input` and half its height and width, rounded down. It gives bit for bit what Relu followed by MaxPool2x2
/// gives.
std::unique_ptr<Layer> make_relu_max_pool(const ImageLayout& input, const ImageLayout& output, int batch);

}  // namespace tardigrad::models
