#include "models/layers/group_norm.h"

#include <algorithm>

#include "models/layers/plain/standardise.h"

namespace tardigrad::models::plain {

template <typename T>
void forward(const GroupNorm& norm, int batch, const T* parameters, const T* input, T* output) {
  const T* weight = parameters + norm.weight_offset;
  const T* bias = parameters + norm.bias_offset;
  const int group_size = norm.group_channels() * norm.pixels;
  for (int g = 0; g < batch * norm.groups; ++g, input += group_size, output += group_size) {
    const auto standard = standardise(input, group_size, static_cast<T>(norm.epsilon));
    const int first = g % norm.groups * norm.group_channels();
    for (int i = 0; i < group_size; ++i) {
      const int channel = first + i / norm.pixels;
      output[i] = weight[channel] * standard(input[i]) + bias[channel];
    }
  }
}

template <typename T>
void backward(const GroupNorm& norm, int batch, const T* parameters, const T* input, const T* output_gradient,
              T* input_gradient, T* gradient) {
  const T* weight = parameters + norm.weight_offset;
  T* weight_gradient = gradient + norm.weight_offset;
  T* bias_gradient = gradient + norm.bias_offset;
  std::fill_n(weight_gradient, norm.channels, T{0});
  std::fill_n(bias_gradient, norm.channels, T{0});
  const int group_size = norm.group_channels() * norm.pixels;
  for (int g = 0; g < batch * norm.groups; ++g, input += group_size, output_gradient += group_size) {
    const auto standard = standardise(input, group_size, static_cast<T>(norm.epsilon));
    const int first = g % norm.groups * norm.group_channels();
    // Of the standardised values, whose gradient is that of the output times the weight.
    T mean_gradient = 0;
    T mean_product = 0;
    for (int i = 0; i < group_size; ++i) {
      const int channel = first + i / norm.pixels;
      const T value = standard(input[i]);
      weight_gradient[channel] += output_gradient[i] * value;
      bias_gradient[channel] += output_gradient[i];
      mean_gradient += weight[channel] * output_gradient[i] / static_cast<T>(group_size);
      mean_product += weight[channel] * output_gradient[i] * value / static_cast<T>(group_size);
    }
    if (!input_gradient) continue;
    T* dx = input_gradient + static_cast<std::ptrdiff_t>(g) * group_size;
    for (int i = 0; i < group_size; ++i) {
      const T own = weight[first + i / norm.pixels] * output_gradient[i];
      dx[i] = standard.reciprocal_deviation * (own - mean_gradient - standard(input[i]) * mean_product);
    }
  }
}

template void forward(const GroupNorm&, int, const float*, const float*, float*);
template void forward(const GroupNorm&, int, const double*, const double*, double*);
template void backward(const GroupNorm&, int, const float*, const float*, const float*, float*, float*);
template void backward(const GroupNorm&, int, const double*, const double*, const double*, double*, double*);

}  // namespace tardigrad::models::plain
