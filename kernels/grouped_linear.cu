#include "kernels/grouped_linear.h"

#include "kernels/grouped_linear.cuh"

namespace tardigrad {
namespace {

/// A warp takes one output of one job at a time.
template <int width, std::size_t batch>
__global__ void __launch_bounds__(threads_per_block)
    grouped_linear_kernel(const __grid_constant__ GroupedLinear group) {
  const auto outputs = static_cast<unsigned>(group.outputs);
  for (std::size_t item = grid_first() / warp_lanes; item < group.jobs * group.outputs;
       item += grid_stride() / warp_lanes) {
    const std::size_t job = static_cast<unsigned>(item) / outputs;
    write_output<width, batch>(
        group, group.relu, group.parameters[job], group.input + job * batch * group.inputs,
        static_cast<unsigned>(item) % outputs, group.output + job * batch * group.outputs);
  }
}

/// The first blocks write gradients of inputs, which the layer before waits for; the others those of
/// parameters.
template <int width, std::size_t batch>
__global__ void __launch_bounds__(threads_per_block)
    grouped_linear_backward_kernel(const __grid_constant__ GroupedLinearBackward group,
                                   unsigned input_blocks) {
  const auto input_of = [&](std::size_t job) { return group.input + job * batch * group.inputs; };
  const auto delta_of = [&](std::size_t job) { return group.output_gradient + job * batch * group.outputs; };
  if (blockIdx.x < input_blocks) {
    const unsigned of_job = divide_up(group.inputs, warp_lanes);
    const std::size_t job = blockIdx.x / of_job;
    write_input_gradients<batch>(group, group.relu_before, group.parameters[job], input_of(job),
                                 delta_of(job), std::size_t{blockIdx.x % of_job} * warp_lanes,
                                 group.input_gradient + job * batch * group.inputs);
    return;
  }
  const unsigned of_job = parameter_items(group);
  const unsigned item = (blockIdx.x - input_blocks) * unsigned{threads_per_block} + threadIdx.x;
  const std::size_t job = item / of_job;
  if (job >= group.jobs) return;
  write_parameter_gradients<width, batch>(group, input_of(job), delta_of(job), item % of_job,
                                          group.gradients[job]);
}

}  // namespace

void GroupedLinear::launch(CudaStream stream) const {
  if (is_empty(*this)) return;
  check(*this);
  const bool aligned = are_aligned(*this, parameters) && is_aligned<linear_pack>(input);
  visit_group(*this, aligned, [&](auto width, auto batch_size) {
    launch_kernel(name, grouped_linear_kernel<width(), batch_size()>,
                  {divide_up(jobs * outputs, linear_warps)}, stream, *this);
  });
}

void GroupedLinearBackward::launch(CudaStream stream) const {
  if (is_empty(*this)) return;
  check(*this);
  const unsigned input_blocks =
      input_gradient ? static_cast<unsigned>(jobs) * divide_up(inputs, warp_lanes) : 0;
  const std::size_t blocks = input_blocks + grid_for(jobs * parameter_items(*this)).blocks;
  const bool aligned = are_aligned(*this, gradients) && is_aligned<linear_pack>(input);
  visit_group(*this, aligned, [&](auto width, auto batch_size) {
    launch_kernel(name, grouped_linear_backward_kernel<width(), batch_size()>,
                  {blocks, threads_per_block, true}, stream, *this, input_blocks);
  });
}

}  // namespace tardigrad
