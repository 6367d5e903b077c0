#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "kernels/dropout_mask.h"
#include "models/layers/layer.h"

namespace tardigrad::models {

/// Sets elements to 0 with a probability p, each by itself, and multiplies the others by 1 / (1 - p)
/// (Srivastava et al. 2014), as PyTorch's Dropout does in training. Without a key it changes nothing, as in
/// evaluation. See layer.h for the contract.
struct Dropout {
  std::size_t size = 0;  ///< Elements per example.
  double probability = 0.5;
  std::uint64_t number = 0;    ///< Of this layer among those of its kind; its masks differ from the others'.
  std::optional<MaskKey> key;  ///< What the masks are drawn for.

  std::size_t output_size() const { return size; }
};

namespace plain {
template <typename T>
void forward(const Dropout& dropout, int batch, const T* parameters, const T* input, T* output);
template <typename T>
void backward(const Dropout& dropout, int batch, const T* parameters, const T* input,
              const T* output_gradient, T* input_gradient, T* gradient);
}  // namespace plain

}  // namespace tardigrad::models
