#pragma once

#include <cstddef>

#include "kernels/operation.h"

namespace tardigrad {

/// Computes the gradient, and if asked for the value, of a quadratic with a symmetric matrix:
///
///     f(x) = ½ xᵀA x − bᵀx,    g = A x − b.
///
/// Sums are kept in float64, in which a product of two floats is exact, and added in one order everywhere, so
/// the bits of `gradient` and `loss` are the same on every CPU and GPU. The loss is ½ xᵀ(g − b) with g as it
/// was rounded to fp32.
///
/// Errors: std::logic_error if a vector other than `loss` is null; launch() also throws std::runtime_error
/// with CUDA's text. dimension = 0 writes a loss of 0 and nothing else. Outputs overlap nothing.
struct QuadraticGradient {
  static constexpr const char* name = "quadratic_gradient";

  std::size_t dimension = 0;          ///< d
  const float* matrix = nullptr;      ///< A [d, d], row-major, symmetric
  const float* offset = nullptr;      ///< b [d]
  const float* parameters = nullptr;  ///< x [d]
  float* gradient = nullptr;          ///< g [d]
  float* loss = nullptr;              ///< f(x) [1], or null

  /// Computes on the calling thread.
  void run() const;

  /// Enqueues one kernel, and a second one for the loss. The current device must be the stream's.
  void launch(CudaStream stream) const;

  double bytes() const;
  double flops() const;
};

/// Computes the same for A = ¼ tridiag(−1, 2, −1), which nobody stores: (A x)_i = ½ x_i − ¼ (x_{i−1} +
/// x_{i+1}), where x is 0 outside. Sums and errors are the same.
struct TridiagonalGradient {
  static constexpr const char* name = "tridiagonal_gradient";

  std::size_t dimension = 0;          ///< d
  const float* offset = nullptr;      ///< b [d]
  const float* parameters = nullptr;  ///< x [d]
  float* gradient = nullptr;          ///< g [d]
  float* loss = nullptr;              ///< f(x) [1], or null

  /// Computes on the calling thread.
  void run() const;

  /// Enqueues one kernel, and a second one for the loss. The current device must be the stream's.
  void launch(CudaStream stream) const;

  double bytes() const;
  double flops() const;
};

}  // namespace tardigrad
