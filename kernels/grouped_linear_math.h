#pragma once

#include <algorithm>

#include "kernels/elementwise_math.h"
#include "kernels/grouped_linear.h"
#include "kernels/multiply_add.h"
#include "kernels/require.h"

namespace tardigrad {

/// Counts the neighbouring inputs that a lane reads at once.
inline constexpr unsigned linear_pack = 4;

/// Ends a sum of GroupedLinear.
TARDIGRAD_HOST_DEVICE inline float end_linear(float sum, float bias, bool relu) {
  return relu ? ReluOf()(sum + bias) : sum + bias;
}

/// Ends a sum of GroupedLinearBackward over the outputs.
TARDIGRAD_HOST_DEVICE inline float end_input_gradient(float sum, float input, bool relu_before) {
  return relu_before ? ReluGradientOf()(input, sum) : sum;
}

inline bool is_empty(const GroupOfLinears& group) {
  return group.jobs == 0 || group.batch == 0 || group.outputs == 0;
}

/// Throws std::logic_error as grouped_linear.h says.
template <typename Operation>
void check_group(const Operation& group) {
  require<Operation>(group.jobs <= GroupOfLinears::most_jobs, "too many jobs, expected 16 at most");
  require<Operation>(group.batch <= GroupOfLinears::most_batch, "too large a batch, expected 8 at most");
  require<Operation>(group.inputs > 0, "no inputs");
  require<Operation>((group.inputs * group.outputs) >> 27 == 0, "too many weights, expected fewer than 2^27");
  const auto none_is_null = [&](const auto& pointers) {
    return std::all_of(pointers.begin(), pointers.begin() + group.jobs, [](auto* of) { return of; });
  };
  require<Operation>(none_is_null(group.parameters), "parameters of a job are null");
  if constexpr (requires { group.gradients; }) {
    require<Operation>(none_is_null(group.gradients), "gradients of a job are null");
  }
}

inline void check(const GroupedLinear& group) {
  check_group(group);
  require<GroupedLinear>(group.input && group.output, "a pointer is null");
}

inline void check(const GroupedLinearBackward& group) {
  check_group(group);
  require<GroupedLinearBackward>(group.input && group.output_gradient, "a pointer is null");
}

}  // namespace tardigrad
