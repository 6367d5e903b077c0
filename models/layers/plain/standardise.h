#pragma once

#include <cmath>
#include <cstddef>

namespace tardigrad::models::plain {

/// Holds the mean of some numbers, and the reciprocal of their standard deviation.
template <typename T>
struct Standardisation {
  T mean = 0;
  T reciprocal_deviation = 0;

  T operator()(T value) const { return (value - mean) * reciprocal_deviation; }
};

/// Returns that of `count` numbers, to whose variance, the biased one, `epsilon` is added as PyTorch's norms
/// do. It takes two passes, so that nothing cancels.
template <typename T>
Standardisation<T> standardise(const T* values, std::size_t count, T epsilon) {
  T sum = 0;
  for (std::size_t i = 0; i < count; ++i) sum += values[i];
  const T mean = sum / static_cast<T>(count);
  T squares = 0;
  for (std::size_t i = 0; i < count; ++i) squares += (values[i] - mean) * (values[i] - mean);
  return {mean, 1 / std::sqrt(squares / static_cast<T>(count) + epsilon)};
}

/// Computes output[i] = weight[of(i)] · standardised input[i] + bias[of(i)] over numbers that are
/// standardised together.
template <typename T, typename Index>
void normalise(const T* input, std::size_t count, T epsilon, const T* weight, const T* bias, const Index& of,
               T* output) {
  const auto standard = standardise(input, count, epsilon);
  for (std::size_t i = 0; i < count; ++i) output[i] = weight[of(i)] * standard(input[i]) + bias[of(i)];
}

/// Computes its gradients: adds those of weight and bias, and overwrites that of the input, unless it is
/// null.
template <typename T, typename Index>
void normalise_backward(const T* input, std::size_t count, T epsilon, const T* weight, const Index& of,
                        const T* output_gradient, T* input_gradient, T* weight_gradient, T* bias_gradient) {
  const auto standard = standardise(input, count, epsilon);
  // Of the standardised values, whose gradient is that of the output times the weight.
  T mean_gradient = 0;
  T mean_product = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const T value = standard(input[i]);
    weight_gradient[of(i)] += output_gradient[i] * value;
    bias_gradient[of(i)] += output_gradient[i];
    mean_gradient += weight[of(i)] * output_gradient[i] / static_cast<T>(count);
    mean_product += weight[of(i)] * output_gradient[i] * value / static_cast<T>(count);
  }
  if (!input_gradient) return;
  for (std::size_t i = 0; i < count; ++i) {
    const T own = weight[of(i)] * output_gradient[i];
    input_gradient[i] =
        standard.reciprocal_deviation * (own - mean_gradient - standard(input[i]) * mean_product);
  }
}

}  // namespace tardigrad::models::plain
