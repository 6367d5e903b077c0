#include "kernels/grouped_head.h"

#include "kernels/grouped_head_math.h"
#include "kernels/grouped_linear.cuh"
#include "kernels/softmax_cross_entropy.cuh"

namespace tardigrad {
namespace {

/// A block takes one job: a warp an output, then a warp an example, then threads as they come.
template <int width, std::size_t batch>
__global__ void __launch_bounds__(threads_per_block)
    grouped_head_kernel(const __grid_constant__ GroupedHead head) {
  __shared__ float logits[batch * GroupedHead::most_outputs];  // and then their gradient
  __shared__ float losses[batch];
  const std::size_t job = blockIdx.x;
  const unsigned warp = threadIdx.x / warp_lanes;
  const float* const input = head.input + job * batch * head.inputs;
  const float* const parameters = head.parameters[job];
  for (std::size_t o = warp; o < head.outputs; o += linear_warps) {
    write_output<width, batch>(head, false, parameters, input, o, logits);
  }
  __syncthreads();
  if (warp < batch) {
    const CrossEntropyArguments<float> rows{
        1,      batch,  static_cast<unsigned>(head.outputs), logits, head.labels + job * batch, logits,
        losses, nullptr};
    cross_entropy_of_row(rows, warp);
  }
  __syncthreads();
  if (warp == 0) write_mean_loss(batch, losses, head.losses + job);
  for (std::size_t i = 0; head.input_gradient != nullptr && i < head.inputs; i += warp_lanes) {
    write_input_gradients<batch>(head, head.relu_before, parameters, input, logits, i,
                                 head.input_gradient + job * batch * head.inputs);
  }
  for (unsigned item = threadIdx.x; item < parameter_items(head); item += threads_per_block) {
    write_parameter_gradients<width, batch>(head, input, logits, item, head.gradients[job]);
  }
}

}  // namespace

void GroupedHead::launch(CudaStream stream) const {
  if (is_empty(*this)) return;
  check(*this);
  const bool aligned =
      are_aligned(*this, parameters) && are_aligned(*this, gradients) && is_aligned<linear_pack>(input);
  visit_group(*this, aligned, [&](auto width, auto batch_size) {
    launch_kernel(name, grouped_head_kernel<width(), batch_size()>, {jobs, threads_per_block, true}, stream,
                  *this);
  });
}

}  // namespace tardigrad
