#include "kernels/bias_relu_math.h"
#include "kernels/column_sums.cuh"
#include "kernels/launch.cuh"

namespace tardigrad {
namespace {

template <typename Number>
__global__ void __launch_bounds__(threads_per_block) bias_relu_kernel(BiasRelu<Number> operation) {
  const std::size_t count = operation.batch * operation.outputs;
  for (std::size_t i = grid_first(); i < count; i += grid_stride()) {
    operation.values[i] =
        bias_relu(operation.values[i], operation.bias[i % operation.outputs], operation.relu);
  }
}

template <typename Number, typename Sum>
__global__ void __launch_bounds__(threads_per_block)
    bias_relu_backward_kernel(BiasReluBackward<Number, Sum> operation) {
  sum_columns(
      operation.batch, operation.outputs,
      [=](std::size_t n, std::size_t output) { return gate_gradient(operation, n, output); },
      [=](std::size_t output, double sum) {
        operation.bias_gradient[output] = nearest<Sum>(static_cast<float>(sum));
      });
}

}  // namespace

template <typename Number>
void BiasRelu<Number>::launch(CudaStream stream) const {
  if (batch == 0 || outputs == 0) return;
  check(*this);
  launch_kernel(name, bias_relu_kernel<Number>, grid_for(batch * outputs), stream, *this);
}

template <typename Number, typename Sum>
void BiasReluBackward<Number, Sum>::launch(CudaStream stream) const {
  if (outputs == 0) return;
  check(*this);
  launch_kernel(name, bias_relu_backward_kernel<Number, Sum>, grid_for_columns(outputs), stream, *this);
}

template void BiasRelu<float>::launch(CudaStream) const;
template void BiasRelu<Bf16>::launch(CudaStream) const;
template void BiasReluBackward<float, float>::launch(CudaStream) const;
template void BiasReluBackward<Bf16, float>::launch(CudaStream) const;
template void BiasReluBackward<Bf16, Bf16>::launch(CudaStream) const;

}  // namespace tardigrad
