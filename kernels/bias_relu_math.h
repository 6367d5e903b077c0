#pragma once

#include "kernels/bf16.h"
#include "kernels/bias_relu.h"
#include "kernels/require.h"

namespace tardigrad {

/// One element of BiasRelu. Not the maximum function, which would turn NaN into 0.
template <typename Number>
TARDIGRAD_HOST_DEVICE Number bias_relu(Number value, Number bias, bool relu) {
  const float sum = widen(value) + widen(bias);
  return nearest<Number>(relu && sum <= 0 ? 0.0F : sum);
}

/// One column of BiasReluBackward.
template <typename Number, typename Sum>
TARDIGRAD_HOST_DEVICE void bias_relu_backward(const BiasReluBackward<Number, Sum>& operation,
                                              std::size_t output) {
  double sum = 0;
  for (std::size_t n = 0; n < operation.batch; ++n) {
    const std::size_t i = n * operation.outputs + output;
    if (operation.activation && widen(operation.activation[i]) <= 0) operation.gradient[i] = Number{};
    sum += static_cast<double>(widen(operation.gradient[i]));
  }
  operation.bias_gradient[output] = nearest<Sum>(static_cast<float>(sum));
}

template <typename Number>
void check(const BiasRelu<Number>& operation) {
  require<BiasRelu<Number>>(operation.bias && operation.values, "a pointer is null");
}

template <typename Number, typename Sum>
void check(const BiasReluBackward<Number, Sum>& operation) {
  require<BiasReluBackward<Number, Sum>>(operation.gradient && operation.bias_gradient, "a pointer is null");
}

}  // namespace tardigrad
