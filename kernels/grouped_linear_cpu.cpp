#include "kernels/grouped_linear_math.h"
#include "kernels/lane_sum.h"

namespace tardigrad {
namespace {

/// Adds halves of the lanes until one is left.
template <std::size_t lanes>
float sum_of(float (&sums)[lanes]) {
  for (std::size_t half = lanes / 2; half > 0; half /= 2) {
    for (std::size_t lane = 0; lane < half; ++lane) sums[lane] += sums[lane + half];
  }
  return sums[0];
}

/// Σ_i input[i] · weight[i].
float product_of(const float* input, const float* weight, std::size_t inputs) {
  float sums[warp_lanes] = {};
  for (std::size_t i = 0; i < inputs; ++i) {
    float& sum = sums[i / linear_pack % warp_lanes];
    sum = multiply_add(weight[i], input[i], sum);
  }
  return sum_of(sums);
}

void write_parameter_gradients(const GroupedLinearBackward& group, std::size_t job) {
  const float* const input = group.input + job * group.batch * group.inputs;
  const float* const delta = group.output_gradient + job * group.batch * group.outputs;
  for (std::size_t o = 0; o < group.outputs; ++o) {
    float* const of_weight = group.gradients[job] + group.weight + o * group.inputs;
    for (std::size_t i = 0; i < group.inputs; ++i) {
      float sum = 0;
      for (std::size_t n = 0; n < group.batch; ++n) {
        sum = multiply_add(delta[n * group.outputs + o], input[n * group.inputs + i], sum);
      }
      of_weight[i] = sum;
    }
    float sum = 0;
    for (std::size_t n = 0; n < group.batch; ++n) sum += delta[n * group.outputs + o];
    group.gradients[job][group.bias + o] = sum;
  }
}

void write_input_gradient(const GroupedLinearBackward& group, std::size_t row) {
  constexpr std::size_t lanes = GroupedLinearBackward::output_lanes;
  const float* const weight = group.parameters[row / group.batch] + group.weight;
  const float* const delta = group.output_gradient + row * group.outputs;
  for (std::size_t i = 0; i < group.inputs; ++i) {
    float sums[lanes] = {};
    for (std::size_t o = 0; o < group.outputs; ++o) {
      sums[o % lanes] = multiply_add(delta[o], weight[o * group.inputs + i], sums[o % lanes]);
    }
    const std::size_t at = row * group.inputs + i;
    group.input_gradient[at] = end_input_gradient(sum_of(sums), group.input[at], group.relu_before);
  }
}

/// Bytes of a group's vectors of examples, each element of which is moved so often.
double bytes_of_examples(const GroupOfLinears& group, std::size_t of_inputs, std::size_t of_outputs) {
  return static_cast<double>(group.jobs * group.batch *
                             (of_inputs * group.inputs + of_outputs * group.outputs) * sizeof(float));
}

double bytes_of_weights(const GroupOfLinears& group) {
  return static_cast<double>(group.jobs * group.inputs * group.outputs * sizeof(float));
}

double bytes_of_biases(const GroupOfLinears& group) {
  return static_cast<double>(group.jobs * group.outputs * sizeof(float));
}

double flops_of_product(const GroupOfLinears& group) {
  return 2.0 * static_cast<double>(group.jobs * group.batch * group.inputs * group.outputs);
}

}  // namespace

void GroupedLinear::run() const {
  if (is_empty(*this)) return;
  check(*this);
  for (std::size_t row = 0; row < jobs * batch; ++row) {
    const float* const of_job = parameters[row / batch];
    for (std::size_t o = 0; o < outputs; ++o) {
      const float sum = product_of(input + row * inputs, of_job + weight + o * inputs, inputs);
      output[row * outputs + o] = end_linear(sum, of_job[bias + o], relu);
    }
  }
}

double GroupedLinear::bytes() const {
  return bytes_of_weights(*this) + bytes_of_biases(*this) + bytes_of_examples(*this, 1, 1);
}

double GroupedLinear::flops() const { return flops_of_product(*this); }

void GroupedLinearBackward::run() const {
  if (is_empty(*this)) return;
  check(*this);
  for (std::size_t job = 0; job < jobs; ++job) write_parameter_gradients(*this, job);
  if (!input_gradient) return;
  for (std::size_t row = 0; row < jobs * batch; ++row) write_input_gradient(*this, row);
}

double GroupedLinearBackward::bytes() const {
  const double of_parameters = bytes_of_weights(*this) + bytes_of_biases(*this);
  if (!input_gradient) return of_parameters + bytes_of_examples(*this, 1, 1);
  return of_parameters + bytes_of_weights(*this) + bytes_of_examples(*this, 2, 1);
}

double GroupedLinearBackward::flops() const { return (input_gradient ? 2 : 1) * flops_of_product(*this); }

}  // namespace tardigrad
