#include "models/layers/layer_norm.h"

#include <algorithm>

#include "models/layers/plain/standardise.h"

namespace tardigrad::models::plain {

template <typename T>
void forward(const LayerNorm& norm, int batch, const T* parameters, const T* input, T* output) {
  const T* weight = parameters + norm.weight_offset;
  const T* bias = parameters + norm.bias_offset;
  for (int n = 0; n < batch; ++n, input += norm.size, output += norm.size) {
    const auto standard = standardise(input, norm.size, static_cast<T>(norm.epsilon));
    for (int i = 0; i < norm.size; ++i) output[i] = weight[i] * standard(input[i]) + bias[i];
  }
}

template <typename T>
void backward(const LayerNorm& norm, int batch, const T* parameters, const T* input, const T* output_gradient,
              T* input_gradient, T* gradient) {
  const T* weight = parameters + norm.weight_offset;
  T* weight_gradient = gradient + norm.weight_offset;
  T* bias_gradient = gradient + norm.bias_offset;
  std::fill_n(weight_gradient, norm.size, T{0});
  std::fill_n(bias_gradient, norm.size, T{0});
  const T share = 1 / static_cast<T>(norm.size);
  for (int n = 0; n < batch; ++n, input += norm.size, output_gradient += norm.size) {
    const auto standard = standardise(input, norm.size, static_cast<T>(norm.epsilon));
    // Of the standardised values, whose gradient is that of the output times the weight.
    T mean_gradient = 0;
    T mean_product = 0;
    for (int i = 0; i < norm.size; ++i) {
      const T value = standard(input[i]);
      weight_gradient[i] += output_gradient[i] * value;
      bias_gradient[i] += output_gradient[i];
      mean_gradient += weight[i] * output_gradient[i] * share;
      mean_product += weight[i] * output_gradient[i] * value * share;
    }
    if (!input_gradient) continue;
    T* dx = input_gradient + static_cast<std::ptrdiff_t>(n) * norm.size;
    for (int i = 0; i < norm.size; ++i) {
      const T own = weight[i] * output_gradient[i];
      dx[i] = standard.reciprocal_deviation * (own - mean_gradient - standard(input[i]) * mean_product);
    }
  }
}

template void forward(const LayerNorm&, int, const float*, const float*, float*);
template void forward(const LayerNorm&, int, const double*, const double*, double*);
template void backward(const LayerNorm&, int, const float*, const float*, const float*, float*, float*);
template void backward(const LayerNorm&, int, const double*, const double*, const double*, double*, double*);

}  // namespace tardigrad::models::plain
