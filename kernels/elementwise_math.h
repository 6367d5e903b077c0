#pragma once

#include <cmath>

#include "kernels/elementwise.h"
#include "kernels/require.h"

/// Is what the operations of elementwise.h make of one element, as functions of floats, and of which
/// vectors.

namespace tardigrad {

struct ReluOf {
  /// It does not use the maximum function, which would turn NaN into 0.
  TARDIGRAD_HOST_DEVICE float operator()(float x) const { return x <= 0 ? 0.0F : x; }
};

struct ReluGradientOf {
  TARDIGRAD_HOST_DEVICE float operator()(float activation, float gradient) const {
    return activation <= 0 ? 0.0F : gradient;
  }
};

/// Returns Φ(x).
TARDIGRAD_HOST_DEVICE inline float normal_distribution(float x) {
  constexpr float sqrt_half = 0.70710678F;
  return (1 + erff(x * sqrt_half)) / 2;
}

struct GeluOf {
  TARDIGRAD_HOST_DEVICE float operator()(float x) const { return x * normal_distribution(x); }
};

struct GeluGradientOf {
  TARDIGRAD_HOST_DEVICE float operator()(float x, float gradient) const {
    constexpr float density_at_0 = 0.39894228F;  // 1 / √(2π)
    return gradient * (normal_distribution(x) + x * density_at_0 * expf(-x * x / 2));
  }
};

struct SumOf {
  bool relu;
  TARDIGRAD_HOST_DEVICE float operator()(float first, float second) const {
    const float sum = first + second;
    return relu ? ReluOf()(sum) : sum;
  }
};

/// Calls visit(function, output, inputs…) with what an operation is.
template <typename Number, typename Visit>
void visit_elementwise(const ReluForward<Number>& relu, const Visit& visit) {
  visit(ReluOf(), relu.output, relu.input);
}
template <typename Number, typename Visit>
void visit_elementwise(const ReluBackward<Number>& relu, const Visit& visit) {
  visit(ReluGradientOf(), relu.input_gradient, relu.activation, relu.output_gradient);
}
template <typename Number, typename Visit>
void visit_elementwise(const GeluForward<Number>& gelu, const Visit& visit) {
  visit(GeluOf(), gelu.output, gelu.input);
}
template <typename Number, typename Visit>
void visit_elementwise(const GeluBackward<Number>& gelu, const Visit& visit) {
  visit(GeluGradientOf(), gelu.input_gradient, gelu.input, gelu.output_gradient);
}
template <typename Number, typename Visit>
void visit_elementwise(const AddElements<Number>& add, const Visit& visit) {
  visit(SumOf{add.relu}, add.output, add.first, add.second);
}

/// Throws std::logic_error as elementwise.h says.
template <typename Operation>
void check_elementwise(const Operation& operation) {
  visit_elementwise(operation, [](const auto&, const auto*... vectors) {
    require<Operation>((... && (vectors != nullptr)), "a pointer is null");
  });
}

}  // namespace tardigrad
