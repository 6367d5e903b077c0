#include "kernels/apply_dropout_math.h"
#include "kernels/launch.cuh"

namespace tardigrad {
namespace {

/// The output may be the memory of the input: no __restrict__.
template <typename Number>
__global__ void __launch_bounds__(threads_per_block) dropout_kernel(ApplyDropout<Number> operation) {
  const DropoutPlan<Number> plan(operation.shape, operation.probability, operation.start);
  const std::size_t size = operation.shape.size();
  for (std::size_t i = grid_first(); i < size; i += grid_stride()) {
    operation.output[i] = plan(i, operation.input[i]);
  }
}

}  // namespace

template <typename Number>
void ApplyDropout<Number>::launch(CudaStream stream) const {
  if (shape.size() == 0) return;
  check(*this);
  launch_kernel(name, dropout_kernel<Number>, grid_for(shape.size()), stream, *this);
}

template void ApplyDropout<float>::launch(CudaStream) const;
template void ApplyDropout<Bf16>::launch(CudaStream) const;

}  // namespace tardigrad
