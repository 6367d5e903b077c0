#include "kernels/grouped_linear.h"

#include <algorithm>

#include "kernels/grouped_linear_math.h"
#include "kernels/lane_sum.h"
#include "kernels/launch.cuh"
#include "kernels/pack.cuh"
#include "kernels/visit_constant.h"

namespace tardigrad {
namespace {

constexpr unsigned linear_warps = threads_per_block / warp_lanes;
static_assert(linear_warps == GroupedLinearBackward::output_lanes);
static_assert(linear_warps >= GroupOfLinears::most_batch);

/// Is how many outputs a thread of the way back computes gradients of weights for, out of inputs read once.
constexpr unsigned outputs_of_thread = 4;

/// Returns a number of blocks or items, which 32 bits can hold: a GPU divides these much faster.
TARDIGRAD_HOST_DEVICE constexpr unsigned divide_up(std::size_t dividend, unsigned divisor) {
  return (static_cast<unsigned>(dividend) + divisor - 1) / divisor;
}

/// The same sum for all lanes of a warp, of floats.
__device__ float linear_sum(float sum) {
  for (unsigned half = warp_lanes / 2; half > 0; half /= 2) sum += __shfl_xor_sync(0xffffffffU, sum, half);
  return sum;
}

/// Loads the pack that begins at `from`, of which `count` numbers are there; the others are 0.
template <int width>
__device__ Pack<float, linear_pack> load_some(const float* from, std::size_t count) {
  if constexpr (width == linear_pack) {
    return load<linear_pack>(from);
  } else {
    Pack<float, linear_pack> pack{};
    for (std::size_t lane = 0; lane < count; ++lane) pack.lane[lane] = from[lane];
    return pack;
  }
}

template <int width>
__device__ void store_some(float* to, const Pack<float, linear_pack>& pack, std::size_t count) {
  if constexpr (width == linear_pack) {
    store(to, pack);
  } else {
    for (std::size_t lane = 0; lane < count; ++lane) to[lane] = pack.lane[lane];
  }
}

/// A warp takes one output of one job at a time, for all examples: each weight is read once.
template <int width, std::size_t batch>
__global__ void __launch_bounds__(threads_per_block)
    grouped_linear_kernel(const __grid_constant__ GroupedLinear group) {
  const unsigned lane = threadIdx.x % warp_lanes;
  const auto outputs = static_cast<unsigned>(group.outputs);
  for (std::size_t item = grid_first() / warp_lanes; item < group.jobs * group.outputs;
       item += grid_stride() / warp_lanes) {
    const std::size_t job = static_cast<unsigned>(item) / outputs;
    const std::size_t o = static_cast<unsigned>(item) % outputs;
    const float* const parameters = group.parameters[job];
    const float* const weight = parameters + group.weight + o * group.inputs;
    const float* const input = group.input + job * batch * group.inputs;
    float sums[batch] = {};
    for (std::size_t i = lane * linear_pack; i < group.inputs; i += warp_lanes * linear_pack) {
      const std::size_t count = min(std::size_t{linear_pack}, group.inputs - i);
      const auto w = load_some<width>(weight + i, count);
#pragma unroll
      for (std::size_t n = 0; n < batch; ++n) {
        const auto x = load_some<width>(input + n * group.inputs + i, count);
#pragma unroll
        for (std::size_t k = 0; k < linear_pack; ++k) {
          if (width == linear_pack || k < count) sums[n] = multiply_add(w.lane[k], x.lane[k], sums[n]);
        }
      }
    }
#pragma unroll
    for (std::size_t n = 0; n < batch; ++n) {
      const float sum = linear_sum(sums[n]);
      if (lane != n) continue;
      group.output[(job * batch + n) * group.outputs + o] =
          end_linear(sum, parameters[group.bias + o], group.relu);
    }
  }
}

/// Writes the gradients of a few outputs' weights for a pack of inputs, and those of the outputs' biases
/// where the pack is the first.
template <int width, std::size_t batch>
__device__ void write_parameter_gradients(const GroupedLinearBackward& group, unsigned item) {
  const unsigned packs = divide_up(group.inputs, linear_pack);
  const unsigned of_job = divide_up(group.outputs, outputs_of_thread);
  const std::size_t i = std::size_t{item % packs} * linear_pack;
  const std::size_t job = item / packs / of_job;
  const std::size_t first = std::size_t{item / packs % of_job} * outputs_of_thread;
  const std::size_t count = min(std::size_t{linear_pack}, group.inputs - i);
  Pack<float, linear_pack> x[batch];
#pragma unroll
  for (std::size_t n = 0; n < batch; ++n) {
    x[n] = load_some<width>(group.input + (job * batch + n) * group.inputs + i, count);
  }
  float* const gradient = group.gradients[job];
  for (std::size_t o = first; o < min(first + outputs_of_thread, group.outputs); ++o) {
    Pack<float, linear_pack> sums{};
    float sum = 0;
#pragma unroll
    for (std::size_t n = 0; n < batch; ++n) {
      const float delta = group.output_gradient[(job * batch + n) * group.outputs + o];
      sum += delta;
#pragma unroll
      for (std::size_t k = 0; k < linear_pack; ++k) {
        sums.lane[k] = multiply_add(delta, x[n].lane[k], sums.lane[k]);
      }
    }
    store_some<width>(gradient + group.weight + o * group.inputs + i, sums, count);
    if (i == 0) gradient[group.bias + o] = sum;
  }
}

/// A block takes as many inputs of one job as a warp has lanes: its warps are the lanes of the outputs.
template <std::size_t batch>
__device__ void write_input_gradients(const GroupedLinearBackward& group, unsigned block) {
  __shared__ float sums_of[GroupedLinearBackward::output_lanes][batch][warp_lanes];
  const unsigned of_job = divide_up(group.inputs, warp_lanes);
  const std::size_t job = block / of_job;
  const unsigned lane = threadIdx.x % warp_lanes;
  const unsigned warp = threadIdx.x / warp_lanes;
  const std::size_t i = std::size_t{block % of_job} * warp_lanes + lane;
  const float* const weight = group.parameters[job] + group.weight;
  const float* const delta = group.output_gradient + job * batch * group.outputs;
  float sums[batch] = {};
  if (i < group.inputs) {
    for (std::size_t o = warp; o < group.outputs; o += GroupedLinearBackward::output_lanes) {
      const float w = weight[o * group.inputs + i];
#pragma unroll
      for (std::size_t n = 0; n < batch; ++n) {
        sums[n] = multiply_add(delta[n * group.outputs + o], w, sums[n]);
      }
    }
  }
#pragma unroll
  for (std::size_t n = 0; n < batch; ++n) sums_of[warp][n][lane] = sums[n];
  __syncthreads();
  if (warp >= batch || i >= group.inputs) return;
  const auto of = [&](std::size_t output_lane) { return sums_of[output_lane][warp][lane]; };
  const float sum = ((of(0) + of(4)) + (of(2) + of(6))) + ((of(1) + of(5)) + (of(3) + of(7)));
  const std::size_t at = (job * batch + warp) * group.inputs + i;
  group.input_gradient[at] = end_input_gradient(sum, group.input[at], group.relu_before);
}

/// The first blocks write gradients of inputs, which the layer before waits for; the others those of
/// parameters.
template <int width, std::size_t batch>
__global__ void __launch_bounds__(threads_per_block)
    grouped_linear_backward_kernel(const __grid_constant__ GroupedLinearBackward group, unsigned input_blocks,
                                   unsigned items) {
  if (blockIdx.x < input_blocks) return write_input_gradients<batch>(group, blockIdx.x);
  const unsigned item = (blockIdx.x - input_blocks) * unsigned{threads_per_block} + threadIdx.x;
  if (item < items) write_parameter_gradients<width, batch>(group, item);
}

/// Calls visit(width, batch), two constants. The width is a pack's where all rows of weights begin at one.
template <typename Visit>
void visit_group(const GroupOfLinears& group, bool aligned, const Visit& visit) {
  const bool in_packs = aligned && group.inputs % linear_pack == 0;
  visit_constant<1, int{linear_pack}>(in_packs ? int{linear_pack} : 1, [&](auto width) {
    visit_constant<std::size_t{1}, std::size_t{2}, std::size_t{3}, std::size_t{4}, std::size_t{5},
                   std::size_t{6}, std::size_t{7}, std::size_t{8}>(group.batch,
                                                                   [&](auto batch) { visit(width, batch); });
  });
}

/// Tells whether packs may begin at that element of the flat vectors of all jobs.
template <typename Pointer>
bool are_aligned(const GroupOfLinears& group, const std::array<Pointer, GroupOfLinears::most_jobs>& vectors) {
  return std::all_of(vectors.begin(), vectors.begin() + group.jobs,
                     [&](Pointer vector) { return is_aligned<linear_pack>(vector + group.weight); });
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
  const auto group_size = static_cast<unsigned>(jobs);
  const unsigned items = group_size * divide_up(outputs, outputs_of_thread) * divide_up(inputs, linear_pack);
  const unsigned input_blocks = input_gradient ? group_size * divide_up(inputs, warp_lanes) : 0;
  const bool aligned = are_aligned(*this, gradients) && is_aligned<linear_pack>(input);
  visit_group(*this, aligned, [&](auto width, auto batch_size) {
    launch_kernel(name, grouped_linear_backward_kernel<width(), batch_size()>,
                  {input_blocks + grid_for(items).blocks, threads_per_block, true}, stream, *this,
                  input_blocks, items);
  });
}

}  // namespace tardigrad
