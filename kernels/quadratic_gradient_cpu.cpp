#include "kernels/quadratic_gradient.h"

#include "kernels/quadratic_gradient_math.h"
#include "kernels/require.h"

namespace tardigrad {
namespace {

/// Of an operation whose gradient is written.
template <typename Operation>
void write_loss(const Operation& q) {
  if (q.loss != nullptr) {
    *q.loss = static_cast<float>(lane_sum<warp_lanes>(q.dimension, [&](double sum, std::size_t i) {
      return add_loss(sum, q.parameters[i], q.gradient[i], q.offset[i]);
    }));
  }
}

}  // namespace

void check(const QuadraticGradient& quadratic) {
  require<QuadraticGradient>(quadratic.matrix != nullptr && quadratic.offset != nullptr &&
                                 quadratic.parameters != nullptr && quadratic.gradient != nullptr,
                             "a pointer is null");
}

void check(const TridiagonalGradient& quadratic) {
  require<TridiagonalGradient>(
      quadratic.offset != nullptr && quadratic.parameters != nullptr && quadratic.gradient != nullptr,
      "a pointer is null");
}

void QuadraticGradient::run() const {
  if (dimension > 0) check(*this);
  const QuadraticGradient q = *this;  // a copy that the stores cannot alias
  for (std::size_t row = 0; row < q.dimension; ++row) {
    const float* const entries = q.matrix + row * q.dimension;
    const double product = lane_sum<warp_lanes>(q.dimension, [&](double sum, std::size_t j) {
      return add_product(sum, entries[j], q.parameters[j]);
    });
    q.gradient[row] = static_cast<float>(product - static_cast<double>(q.offset[row]));
  }
  write_loss(q);
}

double QuadraticGradient::bytes() const {
  const auto d = static_cast<double>(dimension);
  return sizeof(float) * (d * d + 3 * d);
}

double QuadraticGradient::flops() const {
  const auto d = static_cast<double>(dimension);
  return 2 * d * d + d;
}

void TridiagonalGradient::run() const {
  if (dimension > 0) {
    check(*this);
    const std::size_t last = dimension - 1;
    const float* __restrict const b = offset;
    const float* __restrict const x = parameters;
    float* __restrict const g = gradient;
    g[0] = tridiagonal_row(0, x[0], last > 0 ? x[1] : 0, b[0]);
    for (std::size_t i = 1; i < last; ++i) g[i] = tridiagonal_row(x[i - 1], x[i], x[i + 1], b[i]);
    if (last > 0) g[last] = tridiagonal_row(x[last - 1], x[last], 0, b[last]);
  }
  write_loss(*this);
}

double TridiagonalGradient::bytes() const { return sizeof(float) * 3.0 * static_cast<double>(dimension); }

double TridiagonalGradient::flops() const { return 5.0 * static_cast<double>(dimension); }

}  // namespace tardigrad
