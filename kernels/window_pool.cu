#include "kernels/launch.cuh"
#include "kernels/window_pool_math.h"

namespace tardigrad {
namespace {

template <typename Operation>
__global__ void __launch_bounds__(threads_per_block)
    pool_kernel(WindowPlan plan, Operation pool, std::size_t elements) {
  for (std::size_t place = grid_first(); place < elements; place += grid_stride()) {
    pool_element(plan, pool, place);
  }
}

template <typename Operation>
void launch_pool(const Operation& pool, CudaStream stream) {
  const std::size_t elements = elements_of(pool);
  if (elements == 0) return;
  check_pool(pool);
  launch_kernel(Operation::name, pool_kernel<Operation>, grid_for(elements), stream, WindowPlan(pool.shape),
                pool, elements);
}

}  // namespace

template <typename Number>
void MaxPoolForward<Number>::launch(CudaStream stream) const {
  launch_pool(*this, stream);
}

template <typename Number>
void MaxPoolBackward<Number>::launch(CudaStream stream) const {
  launch_pool(*this, stream);
}

template <typename Number>
void AvgPoolForward<Number>::launch(CudaStream stream) const {
  launch_pool(*this, stream);
}

template <typename Number>
void AvgPoolBackward<Number>::launch(CudaStream stream) const {
  launch_pool(*this, stream);
}

template void MaxPoolForward<float>::launch(CudaStream) const;
template void MaxPoolForward<Bf16>::launch(CudaStream) const;
template void MaxPoolBackward<float>::launch(CudaStream) const;
template void MaxPoolBackward<Bf16>::launch(CudaStream) const;
template void AvgPoolForward<float>::launch(CudaStream) const;
template void AvgPoolForward<Bf16>::launch(CudaStream) const;
template void AvgPoolBackward<float>::launch(CudaStream) const;
template void AvgPoolBackward<Bf16>::launch(CudaStream) const;

}  // namespace tardigrad
