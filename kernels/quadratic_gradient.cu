#include "kernels/quadratic_gradient.h"

#include "kernels/lane_sum.cuh"
#include "kernels/launch.cuh"
#include "kernels/quadratic_gradient_math.h"

namespace tardigrad {
namespace {

constexpr std::size_t warps_per_block = threads_per_block / warp_lanes;

/// A warp takes one row of the matrix at a time.
__global__ void __launch_bounds__(threads_per_block)
    gradient_kernel(std::size_t dimension, const float* __restrict__ matrix, const float* __restrict__ offset,
                    const float* __restrict__ parameters, float* __restrict__ gradient) {
  const unsigned lane = threadIdx.x % warp_lanes;
  for (std::size_t row = grid_first() / warp_lanes; row < dimension; row += grid_stride() / warp_lanes) {
    const float* entries = matrix + row * dimension;
    double product = 0;
    for (std::size_t j = lane; j < dimension; j += warp_lanes) {
      product = add_product(product, entries[j], parameters[j]);
    }
    product = warp_sum(product);
    if (lane == 0) gradient[row] = static_cast<float>(product - static_cast<double>(offset[row]));
  }
}

__global__ void __launch_bounds__(threads_per_block)
    tridiagonal_kernel(std::size_t dimension, const float* __restrict__ offset,
                       const float* __restrict__ parameters, float* __restrict__ gradient) {
  for (std::size_t i = grid_first(); i < dimension; i += grid_stride()) {
    const float left = i > 0 ? parameters[i - 1] : 0;
    const float right = i + 1 < dimension ? parameters[i + 1] : 0;
    gradient[i] = tridiagonal_row(left, parameters[i], right, offset[i]);
  }
}

/// One warp, so that the order of summation is fixed without a second pass.
__global__ void __launch_bounds__(warp_lanes)
    loss_kernel(std::size_t dimension, const float* __restrict__ offset, const float* __restrict__ parameters,
                const float* __restrict__ gradient, float* __restrict__ loss) {
  double sum = 0;
  for (std::size_t i = threadIdx.x; i < dimension; i += warp_lanes) {
    sum = add_loss(sum, parameters[i], gradient[i], offset[i]);
  }
  sum = warp_sum(sum);
  if (threadIdx.x == 0) *loss = static_cast<float>(sum);
}

template <typename Operation>
void launch_loss(const Operation& q, CudaStream stream) {
  if (q.loss != nullptr) {
    launch_kernel(Operation::name, loss_kernel, {1, warp_lanes}, stream, q.dimension, q.offset, q.parameters,
                  q.gradient, q.loss);
  }
}

}  // namespace

void QuadraticGradient::launch(CudaStream stream) const {
  if (dimension > 0) {
    check(*this);
    const std::size_t blocks = (dimension + warps_per_block - 1) / warps_per_block;
    launch_kernel(name, gradient_kernel, {blocks, threads_per_block}, stream, dimension, matrix, offset,
                  parameters, gradient);
  }
  launch_loss(*this, stream);
}

void TridiagonalGradient::launch(CudaStream stream) const {
  if (dimension > 0) {
    check(*this);
    launch_kernel(name, tridiagonal_kernel, grid_for(dimension), stream, dimension, offset, parameters,
                  gradient);
  }
  launch_loss(*this, stream);
}

}  // namespace tardigrad
