#include "models/layers/gelu.h"

#include <cmath>
#include <numbers>

namespace tardigrad::models::plain {
namespace {

/// Φ(x)
template <typename T>
T normal_distribution(T x) {
  return (1 + std::erf(x * std::numbers::sqrt2_v<T> / 2)) / 2;
}

/// Its derivative.
template <typename T>
T normal_density(T x) {
  return std::numbers::inv_sqrtpi_v<T> * std::numbers::sqrt2_v<T> / 2 * std::exp(-x * x / 2);
}

}  // namespace

template <typename T>
void forward(const Gelu& gelu, int batch, const T* /*parameters*/, const T* input, T* output) {
  const std::size_t count = gelu.size * batch;
  for (std::size_t i = 0; i < count; ++i) output[i] = input[i] * normal_distribution(input[i]);
}

template <typename T>
void backward(const Gelu& gelu, int batch, const T* /*parameters*/, const T* input, const T* output_gradient,
              T* input_gradient, T* /*gradient*/) {
  if (!input_gradient) return;
  const std::size_t count = gelu.size * batch;
  for (std::size_t i = 0; i < count; ++i) {
    const T x = input[i];
    input_gradient[i] = output_gradient[i] * (normal_distribution(x) + x * normal_density(x));
  }
}

template void forward(const Gelu&, int, const float*, const float*, float*);
template void forward(const Gelu&, int, const double*, const double*, double*);
template void backward(const Gelu&, int, const float*, const float*, const float*, float*, float*);
template void backward(const Gelu&, int, const double*, const double*, const double*, double*, double*);

}  // namespace tardigrad::models::plain
