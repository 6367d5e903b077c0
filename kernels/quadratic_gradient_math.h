#pragma once

#include <cmath>

#include "kernels/lane_sum.h"
#include "kernels/quadratic_gradient.h"

/// Computes sums in the order of lane_sum.h, with the lanes of a warp.

namespace tardigrad {

/// Returns sum + ½ x (g − b), which adds one term of the loss. The product is not exact in float64, hence the
/// explicit fused operation.
TARDIGRAD_HOST_DEVICE inline double add_loss(double sum, float x, float g, float b) {
  return fma(0.5 * static_cast<double>(x), static_cast<double>(g) - static_cast<double>(b), sum);
}

/// Returns the element of A x − b for A = ¼ tridiag(−1, 2, −1) and three neighbours of x. The products are
/// exact, so it does not matter whether a compiler fuses them with the sums.
TARDIGRAD_HOST_DEVICE inline float tridiagonal_row(float left, float x, float right, float b) {
  const double neighbours = static_cast<double>(left) + static_cast<double>(right);
  return static_cast<float>(0.5 * static_cast<double>(x) - 0.25 * neighbours - static_cast<double>(b));
}

/// Throws std::logic_error as quadratic_gradient.h says.
void check(const QuadraticGradient& quadratic);
void check(const TridiagonalGradient& quadratic);

}  // namespace tardigrad
