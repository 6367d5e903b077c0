#pragma once

#include <algorithm>
#include <cstddef>

#include "models/layers/layer.h"

namespace tardigrad::models {

/// Makes features of images: [batch, channels, height, width] → [batch, channels · height · width], in that
/// order. The elements stay where they lie, so an engine whose images lie channel-major has nothing to do.
struct Flatten {
  std::size_t size = 0;  ///< Elements per example.

  std::size_t output_size() const { return size; }
};

namespace plain {
template <typename T>
void forward(const Flatten& flatten, int batch, const T* /*parameters*/, const T* input, T* output) {
  std::copy_n(input, flatten.size * batch, output);
}
template <typename T>
void backward(const Flatten& flatten, int batch, const T* /*parameters*/, const T* /*input*/,
              const T* output_gradient, T* input_gradient, T* /*gradient*/) {
  if (input_gradient) std::copy_n(output_gradient, flatten.size * batch, input_gradient);
}
}  // namespace plain

}  // namespace tardigrad::models
