#pragma once

#include <cmath>

#include "kernels/quadratic_gradient.h"

/// The order of summation that makes the sums of a CPU and of a warp the same: lane l of 32 adds up the terms
/// l, l + 32, l + 64, …, then halves of the lanes are added, 16 to 16, 8 to 8, down to one.

namespace tardigrad {

inline constexpr int sum_lanes = 32;

/// sum + a·b; exact up to the addition, so it does not matter whether a compiler fuses the two.
TARDIGRAD_HOST_DEVICE inline double add_product(double sum, float a, float b) {
  return sum + static_cast<double>(a) * static_cast<double>(b);
}

/// sum + ½ x (g − b), one term of the loss. The product is not exact in float64, hence the explicit fused
/// operation.
TARDIGRAD_HOST_DEVICE inline double add_loss(double sum, float x, float g, float b) {
  return fma(0.5 * static_cast<double>(x), static_cast<double>(g) - static_cast<double>(b), sum);
}

/// Throws std::logic_error as quadratic_gradient.h says.
void check(const QuadraticGradient& quadratic);

}  // namespace tardigrad
