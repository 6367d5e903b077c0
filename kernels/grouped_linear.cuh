#pragma once

#include <algorithm>

#include "kernels/grouped_linear_math.h"
#include "kernels/lane_sum.cuh"
#include "kernels/launch.cuh"
#include "kernels/pack.cuh"
#include "kernels/visit_constant.h"

/// Is what warps and threads do of grouped linear layers, in every kernel that has them. `width` is a pack's
/// where every row of weights begins at one, or else 1; `batch` is B.

namespace tardigrad {

inline constexpr unsigned linear_warps = threads_per_block / warp_lanes;
static_assert(linear_warps == GroupedLinearBackward::output_lanes);
static_assert(linear_warps >= GroupOfLinears::most_batch);

/// Counts the outputs for whose weights a thread computes gradients out of inputs that it reads once.
inline constexpr unsigned outputs_of_thread = 4;

/// Returns a number of blocks or items, which 32 bits can hold: a GPU divides these much faster.
TARDIGRAD_HOST_DEVICE constexpr unsigned divide_up(std::size_t dividend, unsigned divisor) {
  return (static_cast<unsigned>(dividend) + divisor - 1) / divisor;
}

/// Returns how many items write_parameter_gradients() takes for one job.
TARDIGRAD_HOST_DEVICE constexpr unsigned parameter_items(const GroupOfLinears& group) {
  return divide_up(group.outputs, outputs_of_thread) * divide_up(group.inputs, linear_pack);
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

/// Writes output `o` of one job for all examples, by one warp: each weight is read once. `input` and `output`
/// are the job's.
template <int width, std::size_t batch>
__device__ void write_output(const GroupOfLinears& group, bool relu, const float* parameters,
                             const float* input, std::size_t o, float* output) {
  const unsigned lane = threadIdx.x % warp_lanes;
  const float* const weight = parameters + group.weight + o * group.inputs;
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
    const float sum = sum_in_warp(sums[n]);
    if (lane == n) output[n * group.outputs + o] = end_linear(sum, parameters[group.bias + o], relu);
  }
}

/// Writes the gradients of a few outputs' weights for a pack of inputs, and those of the outputs' biases
/// where the pack is the first, by one thread for each of a job's parameter_items(). The vectors are the
/// job's.
template <int width, std::size_t batch>
__device__ void write_parameter_gradients(const GroupOfLinears& group, const float* input, const float* delta,
                                          unsigned item, float* gradient) {
  const unsigned packs = divide_up(group.inputs, linear_pack);
  const std::size_t i = std::size_t{item % packs} * linear_pack;
  const std::size_t first = std::size_t{item / packs} * outputs_of_thread;
  const std::size_t count = min(std::size_t{linear_pack}, group.inputs - i);
  Pack<float, linear_pack> x[batch];
#pragma unroll
  for (std::size_t n = 0; n < batch; ++n) x[n] = load_some<width>(input + n * group.inputs + i, count);
  for (std::size_t o = first; o < min(first + outputs_of_thread, group.outputs); ++o) {
    Pack<float, linear_pack> sums{};
    float sum = 0;
#pragma unroll
    for (std::size_t n = 0; n < batch; ++n) {
      const float d = delta[n * group.outputs + o];
      sum += d;
#pragma unroll
      for (std::size_t k = 0; k < linear_pack; ++k) {
        sums.lane[k] = multiply_add(d, x[n].lane[k], sums.lane[k]);
      }
    }
    store_some<width>(gradient + group.weight + o * group.inputs + i, sums, count);
    if (i == 0) gradient[group.bias + o] = sum;
  }
}

/// Writes the gradients of as many inputs as a warp has lanes, from `first` on, by a whole block: its warps
/// are the lanes of the outputs. The vectors are the job's.
template <std::size_t batch>
__device__ void write_input_gradients(const GroupOfLinears& group, bool relu_before, const float* parameters,
                                      const float* input, const float* delta, std::size_t first,
                                      float* input_gradient) {
  __shared__ float sums_of[GroupedLinearBackward::output_lanes][batch][warp_lanes];
  const unsigned lane = threadIdx.x % warp_lanes;
  const unsigned warp = threadIdx.x / warp_lanes;
  const std::size_t i = first + lane;
  const float* const weight = parameters + group.weight;
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
  if (warp < batch && i < group.inputs) {
    const auto of = [&](std::size_t output_lane) { return sums_of[output_lane][warp][lane]; };
    const float sum = ((of(0) + of(4)) + (of(2) + of(6))) + ((of(1) + of(5)) + (of(3) + of(7)));
    const std::size_t at = warp * group.inputs + i;
    input_gradient[at] = end_input_gradient(sum, input[at], relu_before);
  }
  __syncthreads();  // before another call writes the sums
}

/// Calls visit(width, batch) with two constants.
template <typename Visit>
void visit_group(const GroupOfLinears& group, bool aligned, const Visit& visit) {
  const bool in_packs = aligned && group.inputs % linear_pack == 0;
  visit_constant<1, int{linear_pack}>(in_packs ? int{linear_pack} : 1, [&](auto width) {
    visit_constant<std::size_t{1}, std::size_t{2}, std::size_t{3}, std::size_t{4}, std::size_t{5},
                   std::size_t{6}, std::size_t{7}, std::size_t{8}>(group.batch,
                                                                   [&](auto batch) { visit(width, batch); });
  });
}

/// Tells whether packs may begin where the weights are in the flat vectors of all jobs.
template <typename Pointer>
bool are_aligned(const GroupOfLinears& group, const std::array<Pointer, GroupOfLinears::most_jobs>& vectors) {
  return std::all_of(vectors.begin(), vectors.begin() + group.jobs,
                     [&](Pointer vector) { return is_aligned<linear_pack>(vector + group.weight); });
}

}  // namespace tardigrad
