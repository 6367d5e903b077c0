#pragma once

#include <cstddef>
#include <memory>

#include "models/layers/layer.h"

namespace tardigrad::models {

/// Normalises all elements of each example (Ba, Kiros, Hinton 2016), as PyTorch's LayerNorm of the shape of
/// an example does:
///   output[n,i] = weight[i] · (input[n,i] - μ[n]) / √(σ²[n] + ε) + bias[i]
/// weight and bias have the shape of an example. See layer.h for the contract.
struct LayerNorm {
  int size = 0;                   ///< Elements per example.
  std::size_t weight_offset = 0;  ///< In the flat parameters, in elements; likewise bias_offset.
  std::size_t bias_offset = 0;
  double epsilon = 1e-5;

  std::size_t output_size() const { return size; }
};

namespace plain {
template <typename T>
void forward(const LayerNorm& norm, int batch, const T* parameters, const T* input, T* output);
template <typename T>
void backward(const LayerNorm& norm, int batch, const T* parameters, const T* input, const T* output_gradient,
              T* input_gradient, T* gradient);
}  // namespace plain

namespace onednn {
/// Makes the layer. One that `reads_images` is never asked for the gradient with respect to its input.
std::unique_ptr<Layer> make_layer(const LayerNorm& norm, int batch, bool reads_images);
}  // namespace onednn

}  // namespace tardigrad::models
