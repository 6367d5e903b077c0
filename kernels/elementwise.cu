#include "kernels/elementwise_math.h"
#include "kernels/launch.cuh"
#include "kernels/pack.cuh"

namespace tardigrad {
namespace {

/// A thread takes a pack at a time, and then of what is left an element. An output may be the memory of an
/// input: no __restrict__.
template <int width, typename Function, typename Number, typename... Inputs>
__global__ void __launch_bounds__(threads_per_block)
    elementwise_kernel(std::size_t size, Function function, Number* output, const Inputs*... inputs) {
  const std::size_t packs = size / width;
  for (std::size_t i = grid_first(); i < packs; i += grid_stride()) {
    const auto apply = [&](const auto&... values) {
      Pack<Number, width> result;
#pragma unroll
      for (int lane = 0; lane < width; ++lane) {
        result.lane[lane] = nearest<Number>(function(widen(values.lane[lane])...));
      }
      store(output + i * width, result);
    };
    apply(load<width>(inputs + i * width)...);
  }
  for (std::size_t i = packs * width + grid_first(); i < size; i += grid_stride()) {
    output[i] = nearest<Number>(function(widen(inputs[i])...));
  }
}

template <typename Operation>
void launch_elementwise(const Operation& operation, CudaStream stream) {
  if (operation.size == 0) return;
  check_elementwise(operation);
  visit_elementwise(operation, [&]<typename Function, typename Number, typename... Inputs>(
                                   const Function& function, Number* output, const Inputs*... inputs) {
    constexpr int width = full_width<Number>;
    const bool aligned = is_aligned<width>(output) && (... && is_aligned<width>(inputs));
    const Grid grid = grid_for(aligned ? operation.size / width + 1 : operation.size);
    const auto kernel = aligned ? elementwise_kernel<width, Function, Number, Inputs...>
                                : elementwise_kernel<1, Function, Number, Inputs...>;
    launch_kernel(Operation::name, kernel, grid, stream, operation.size, function, output, inputs...);
  });
}

}  // namespace

template <typename Number>
void ReluForward<Number>::launch(CudaStream stream) const {
  launch_elementwise(*this, stream);
}

template <typename Number>
void ReluBackward<Number>::launch(CudaStream stream) const {
  launch_elementwise(*this, stream);
}

template <typename Number>
void GeluForward<Number>::launch(CudaStream stream) const {
  launch_elementwise(*this, stream);
}

template <typename Number>
void GeluBackward<Number>::launch(CudaStream stream) const {
  launch_elementwise(*this, stream);
}

template <typename Number>
void AddElements<Number>::launch(CudaStream stream) const {
  launch_elementwise(*this, stream);
}

template void ReluForward<float>::launch(CudaStream) const;
template void ReluForward<Bf16>::launch(CudaStream) const;
template void ReluBackward<float>::launch(CudaStream) const;
template void ReluBackward<Bf16>::launch(CudaStream) const;
template void GeluForward<float>::launch(CudaStream) const;
template void GeluForward<Bf16>::launch(CudaStream) const;
template void GeluBackward<float>::launch(CudaStream) const;
template void GeluBackward<Bf16>::launch(CudaStream) const;
template void AddElements<float>::launch(CudaStream) const;
template void AddElements<Bf16>::launch(CudaStream) const;

}  // namespace tardigrad
