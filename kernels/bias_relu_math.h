#pragma once

#include "kernels/bf16.h"
#include "kernels/bias_relu.h"
#include "kernels/require.h"

namespace tardigrad {

/// Computes one element of BiasRelu. It does not use the maximum function, which would turn NaN into 0.
template <typename Number>
TARDIGRAD_HOST_DEVICE Number bias_relu(Number value, Number bias, bool relu) {
  const float sum = widen(value) + widen(bias);
  return nearest<Number>(relu && sum <= 0 ? 0.0F : sum);
}

/// Gates one element of the gradient, and returns it for the sum.
template <typename Number, typename Sum>
TARDIGRAD_HOST_DEVICE double gate_gradient(const BiasReluBackward<Number, Sum>& operation, std::size_t n,
                                           std::size_t output) {
  const std::size_t i = n * operation.outputs + output;
  const Number gradient = operation.output_gradient[i];
  if (operation.activation == nullptr) return static_cast<double>(widen(gradient));
  const Number gated = widen(operation.activation[i]) <= 0 ? Number{} : gradient;
  operation.gated[i] = gated;
  return static_cast<double>(widen(gated));
}

template <typename Number>
void check(const BiasRelu<Number>& operation) {
  require<BiasRelu<Number>>(operation.bias && operation.values, "a pointer is null");
}

template <typename Number, typename Sum>
void check(const BiasReluBackward<Number, Sum>& operation) {
  using Operation = BiasReluBackward<Number, Sum>;
  require<Operation>(operation.output_gradient && operation.bias_gradient, "a pointer is null");
  require<Operation>(!operation.activation || operation.gated, "gated is null");
}

}  // namespace tardigrad
