#include "kernels/apply_dropout_math.h"
#include "kernels/launch.cuh"

namespace tardigrad {
namespace {

/// The output may be the memory of the input: no __restrict__.
template <typename Number>
__global__ void __launch_bounds__(threads_per_block)
    dropout_kernel(DropoutPlan masked, const std::uint64_t* start, const Number* input, Number* output) {
  const DropoutPlan plan = masked.starting_at(start != nullptr ? *start : 0);
  const std::size_t size = plan.shape.size();
  for (std::size_t i = grid_first(); i < size; i += grid_stride()) {
    output[i] = start != nullptr ? plan.drop(i, input[i]) : input[i];
  }
}

}  // namespace

template <typename Number>
void ApplyDropout<Number>::launch(CudaStream stream) const {
  if (shape.size() == 0) return;
  check(*this);
  launch_kernel(name, dropout_kernel<Number>, grid_for(shape.size()), stream, DropoutPlan(shape, probability),
                start, input, output);
}

template void ApplyDropout<float>::launch(CudaStream) const;
template void ApplyDropout<Bf16>::launch(CudaStream) const;

}  // namespace tardigrad
