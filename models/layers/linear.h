#pragma once

#include <cstddef>
#include <memory>

#include "models/layers/layer.h"

namespace tardigrad::models {

/// Computes output[n,o] = bias[o] + Σ_i weight[o,i] · input[n,i], with weight [outputs, inputs], bias
/// [outputs]. See layer.h for the contract.
struct Linear {
  int inputs = 0;
  int outputs = 0;
  std::size_t weight_offset = 0;  ///< In the flat parameters, in elements; likewise bias_offset.
  std::size_t bias_offset = 0;

  std::size_t output_size() const { return outputs; }
};

namespace plain {
/// Computes the layer, as backward() its gradients. They are written for minibatches of a few examples, where
/// reading and writing the weights is all the work.
template <typename T>
void forward(const Linear& linear, int batch, const T* parameters, const T* input, T* output);
template <typename T>
void backward(const Linear& linear, int batch, const T* parameters, const T* input, const T* output_gradient,
              T* input_gradient, T* gradient);

/// Computes gradient[o] = Σ_n output_gradient[n,o], the part of backward that no matrix product gives.
template <typename T>
void bias_gradient(const Linear& linear, int batch, const T* output_gradient, T* gradient);
}  // namespace plain

namespace onednn {
std::unique_ptr<Layer> make_layer(const Linear& linear, int batch);
}

}  // namespace tardigrad::models
