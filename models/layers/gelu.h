#pragma once

#include <cstddef>
#include <memory>

#include "models/layers/layer.h"

namespace tardigrad::models {

/// Computes output = x · Φ(x), element by element, where Φ is the distribution function of the standard
/// normal distribution (Hendrycks, Gimpel 2016; not its approximation by tanh), as PyTorch's GELU does. See
/// layer.h for the contract.
struct Gelu {
  std::size_t size = 0;  ///< Elements per example.

  std::size_t output_size() const { return size; }
};

namespace plain {
template <typename T>
void forward(const Gelu& gelu, int batch, const T* parameters, const T* input, T* output);
template <typename T>
void backward(const Gelu& gelu, int batch, const T* parameters, const T* input, const T* output_gradient,
              T* input_gradient, T* gradient);
}  // namespace plain

namespace onednn {
std::unique_ptr<Layer> make_layer(const Gelu& gelu, int batch);
}  // namespace onednn

}  // namespace tardigrad::models
