#pragma once

#include <cstddef>

namespace tardigrad::models {

/// Computes output = max(input, 0), element by element. Its derivative at 0 is 0, and NaN stays NaN, as in
/// PyTorch. See layer.h for the contract.
struct Relu {
  std::size_t size = 0;  ///< Elements per example.

  std::size_t output_size() const { return size; }
};

namespace plain {
template <typename T>
void forward(const Relu& relu, int batch, const T* parameters, const T* input, T* output);
template <typename T>
void backward(const Relu& relu, int batch, const T* parameters, const T* input, const T* output_gradient,
              T* input_gradient, T* gradient);
}  // namespace plain

}  // namespace tardigrad::models
