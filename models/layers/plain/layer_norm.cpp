#include "models/layers/layer_norm.h"

#include <algorithm>

#include "models/layers/plain/standardise.h"

namespace tardigrad::models::plain {
namespace {

constexpr auto itself = [](std::size_t i) { return i; };

}  // namespace

template <typename T>
void forward(const LayerNorm& norm, int batch, const T* parameters, const T* input, T* output) {
  for (int n = 0; n < batch; ++n, input += norm.size, output += norm.size) {
    normalise(input, static_cast<std::size_t>(norm.size), static_cast<T>(norm.epsilon),
              parameters + norm.weight_offset, parameters + norm.bias_offset, itself, output);
  }
}

template <typename T>
void backward(const LayerNorm& norm, int batch, const T* parameters, const T* input, const T* output_gradient,
              T* input_gradient, T* gradient) {
  T* weight_gradient = gradient + norm.weight_offset;
  T* bias_gradient = gradient + norm.bias_offset;
  std::fill_n(weight_gradient, norm.size, T{0});
  std::fill_n(bias_gradient, norm.size, T{0});
  for (int n = 0; n < batch; ++n, input += norm.size, output_gradient += norm.size) {
    T* dx = input_gradient ? input_gradient + static_cast<std::ptrdiff_t>(n) * norm.size : nullptr;
    normalise_backward(input, static_cast<std::size_t>(norm.size), static_cast<T>(norm.epsilon),
                       parameters + norm.weight_offset, itself, output_gradient, dx, weight_gradient,
                       bias_gradient);
  }
}

template void forward(const LayerNorm&, int, const float*, const float*, float*);
template void forward(const LayerNorm&, int, const double*, const double*, double*);
template void backward(const LayerNorm&, int, const float*, const float*, const float*, float*, float*);
template void backward(const LayerNorm&, int, const double*, const double*, const double*, double*, double*);

}  // namespace tardigrad::models::plain
