#include "kernels/channel_bias_math.h"
#include "kernels/channel_sums.cuh"
#include "kernels/launch.cuh"

namespace tardigrad {
namespace {

template <typename Number>
__global__ void __launch_bounds__(threads_per_block) channel_bias_kernel(ChannelBias<Number> operation) {
  const std::size_t size = operation.shape.size();
  for (std::size_t place = grid_first(); place < size; place += grid_stride()) {
    add_channel_bias(operation, place);
  }
}

template <typename Number>
struct GateElement {
  ChannelBiasBackward<Number> operation;
  __device__ Pack<float, 1> operator()(std::size_t place, std::size_t, std::size_t) const {
    return {gate_element(operation, place)};
  }
};

}  // namespace

template <typename Number>
void ChannelBias<Number>::launch(CudaStream stream) const {
  if (shape.size() == 0) return;
  check(*this);
  launch_kernel(name, channel_bias_kernel<Number>, grid_for(shape.size()), stream, *this);
}

template <typename Number>
void ChannelBiasBackward<Number>::launch(CudaStream stream) const {
  if (shape.size() == 0) return;
  check(*this);
  launch_channel_parts<1>(name, shape, GateElement<Number>{*this}, partial_sums, stream);
}

template void ChannelBias<float>::launch(CudaStream) const;
template void ChannelBias<Bf16>::launch(CudaStream) const;
template void ChannelBiasBackward<float>::launch(CudaStream) const;
template void ChannelBiasBackward<Bf16>::launch(CudaStream) const;

}  // namespace tardigrad
