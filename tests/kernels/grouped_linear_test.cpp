#include "kernels/grouped_linear.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <vector>

#include "tests/kernels/backend.h"
#include "tests/kernels/grouped_layers.h"
#include "tests/kernels/pool_cases.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;

const std::vector<LinearCase> linear_cases = {
    {1, 1, 1, 1},      {1, 4, 784, 128}, {3, 4, 128, 10},   {16, 8, 12, 9}, {2, 5, 33, 7},
    {2, 2, 140, 5, 3}, {4, 3, 260, 17},  {2, 7, 129, 3, 8}, {5, 6, 4, 33},  {1, 8, 31, 65, 1}};

/// What the layers of a group read, beside where their gradients go.
struct LinearMemory {
  LinearMemory(Backend backend, const LinearCase& linear, bool exact)
      : LinearMemory(backend, linear, exact ? dyadic_numbers<float> : random_numbers<float>) {}

  LinearCase of;
  std::vector<float> inputs, deltas;
  VectorsOfJobs vectors;

 private:
  using Numbers = std::vector<float> (*)(std::size_t, unsigned);

  LinearMemory(Backend backend, const LinearCase& linear, Numbers numbers)
      : of(linear),
        inputs(numbers(of.input_size(), 1)),
        deltas(numbers(of.output_size(), 2)),
        vectors(backend, of, numbers) {
    if (inputs.size() > 2) inputs[2] = 0;
  }
};

std::vector<float> forward_on(Backend backend, const LinearMemory& memory, bool relu) {
  const LinearCase& of = memory.of;
  const Guarded<float> input(backend, memory.inputs);
  const Guarded<float> output(backend, std::vector<float>(of.output_size(), poison));
  auto group = memory.vectors.make<GroupedLinear>();
  group.relu = relu;
  group.input = input.data();
  group.output = output.data();
  execute(backend, group);
  EXPECT_TRUE(same_bits(input.values(), memory.inputs));
  return output.values();
}

struct LinearGradients {
  std::vector<float> input;
  std::vector<std::vector<float>> parameters;
};

LinearGradients backward_on(Backend backend, const LinearMemory& memory, bool relu_before,
                            bool wants_input = true) {
  const Guarded<float> input(backend, memory.inputs);
  const Guarded<float> delta(backend, memory.deltas);
  const Guarded<float> input_gradient(backend, std::vector<float>(memory.inputs.size(), poison));
  auto group = memory.vectors.make<GroupedLinearBackward>();
  group.relu_before = relu_before;
  group.input = input.data();
  group.output_gradient = delta.data();
  if (wants_input) group.input_gradient = input_gradient.data();
  execute(backend, group);
  return {input_gradient.values(), memory.vectors.gradient_values()};
}

class GroupedLinearContract : public OnBackend {};

/// Small whole numbers over powers of two, whose sums are exact in any order.
TEST_P(GroupedLinearContract, IsTheProductWithBiasAndRelu) {
  for (const LinearCase& of : linear_cases) {
    SCOPED_TRACE(::testing::Message() << of);
    const LinearMemory memory(GetParam(), of, true);
    for (const bool relu : {false, true}) {
      const std::vector<float> got = forward_on(GetParam(), memory, relu);
      for (std::size_t at = 0; at < got.size(); ++at) {
        const std::size_t o = at % of.outputs;
        const std::size_t row = at / of.outputs;
        const std::vector<float>& of_job = memory.vectors.values[row / of.batch];
        float want = of_job[of.bias_at() + o];
        for (std::size_t i = 0; i < of.inputs; ++i) {
          want += memory.inputs[row * of.inputs + i] * of_job[of.weight_at + o * of.inputs + i];
        }
        if (relu && want < 0) want = 0;
        ASSERT_EQ(got[at], want) << "element " << at << (relu ? " with a ReLU" : "");
      }
    }
  }
}

TEST_P(GroupedLinearContract, DifferentiatesTheProductAndTheReluBefore) {
  for (const LinearCase& of : linear_cases) {
    SCOPED_TRACE(::testing::Message() << of);
    const LinearMemory memory(GetParam(), of, true);
    for (const bool relu_before : {false, true}) {
      const LinearGradients got = backward_on(GetParam(), memory, relu_before);
      LinearGradients want{
          std::vector<float>(memory.inputs.size()),
          std::vector<std::vector<float>>(of.jobs, std::vector<float>(of.dimension(), poison))};
      for (auto& gradient : want.parameters) {
        std::fill_n(gradient.begin() + static_cast<std::ptrdiff_t>(of.weight_at),
                    of.inputs * of.outputs + of.outputs, 0.0F);
      }
      for (std::size_t row = 0; row < of.jobs * of.batch; ++row) {
        std::vector<float>& gradient = want.parameters[row / of.batch];
        const std::vector<float>& of_job = memory.vectors.values[row / of.batch];
        for (std::size_t o = 0; o < of.outputs; ++o) {
          const float delta = memory.deltas[row * of.outputs + o];
          gradient[of.bias_at() + o] += delta;
          for (std::size_t i = 0; i < of.inputs; ++i) {
            const float input = memory.inputs[row * of.inputs + i];
            gradient[of.weight_at + o * of.inputs + i] += delta * input;
            if (relu_before && input <= 0) continue;
            want.input[row * of.inputs + i] += delta * of_job[of.weight_at + o * of.inputs + i];
          }
        }
      }
      EXPECT_TRUE(got.input == want.input);
      for (std::size_t k = 0; k < of.jobs; ++k) {
        for (std::size_t i = 0; i < of.dimension(); ++i) {
          const float wanted = want.parameters[k][i];
          const float given = got.parameters[k][i];
          ASSERT_TRUE(given == wanted || (std::isnan(given) && std::isnan(wanted)))
              << "job " << k << ", element " << i << ": " << given << " in place of " << wanted;
        }
      }
    }
  }
}

/// Random numbers, whose sums depend on the order.
TEST_P(GroupedLinearContract, GivesTheBitsOfACpu) {
  for (const LinearCase& of : linear_cases) {
    SCOPED_TRACE(::testing::Message() << of);
    const LinearMemory there(GetParam(), of, false);
    const LinearMemory here(Backend::cpu, of, false);
    EXPECT_TRUE(same_bits(forward_on(GetParam(), there, true), forward_on(Backend::cpu, here, true)));
    const LinearGradients got = backward_on(GetParam(), there, true);
    const LinearGradients want = backward_on(Backend::cpu, here, true);
    EXPECT_TRUE(same_bits(got.input, want.input));
    EXPECT_EQ(got.parameters.size(), want.parameters.size());
    for (std::size_t k = 0; k < of.jobs; ++k) {
      EXPECT_TRUE(same_bits(got.parameters[k], want.parameters[k])) << "job " << k;
    }
  }
}

TEST_P(GroupedLinearContract, GivesAJobTheSameBitsInAnyGroup) {
  const LinearCase all{7, 4, 140, 9};
  const LinearMemory memory(GetParam(), all, false);
  const std::vector<float> together = forward_on(GetParam(), memory, true);
  const LinearGradients gradients = backward_on(GetParam(), memory, true);
  const std::size_t input_size = all.batch * all.inputs;
  const std::size_t output_size = all.batch * all.outputs;
  const auto part = [](const std::vector<float>& of, std::size_t k, std::size_t size) {
    const auto begin = of.begin() + static_cast<std::ptrdiff_t>(k * size);
    return std::vector<float>(begin, begin + static_cast<std::ptrdiff_t>(size));
  };
  for (std::size_t k = 0; k < all.jobs; ++k) {
    LinearMemory alone(GetParam(), {1, all.batch, all.inputs, all.outputs}, false);
    alone.inputs = part(memory.inputs, k, input_size);
    alone.deltas = part(memory.deltas, k, output_size);
    alone.vectors.parameters[0] = std::make_unique<Guarded<float>>(GetParam(), memory.vectors.values[k]);
    EXPECT_TRUE(same_bits(forward_on(GetParam(), alone, true), part(together, k, output_size)))
        << "job " << k;
    const LinearGradients of_one = backward_on(GetParam(), alone, true);
    EXPECT_TRUE(same_bits(of_one.input, part(gradients.input, k, input_size))) << "job " << k;
    EXPECT_TRUE(same_bits(of_one.parameters[0], gradients.parameters[k])) << "job " << k;
  }
}

TEST_P(GroupedLinearContract, LeavesOutAnInputGradientThatIsNotWanted) {
  const LinearMemory memory(GetParam(), {2, 4, 20, 6}, false);
  const LinearGradients all = backward_on(GetParam(), memory, false);
  const LinearGradients some = backward_on(GetParam(), memory, false, false);
  EXPECT_TRUE(std::isnan(some.input.front()));
  EXPECT_TRUE(same_bits(some.parameters[1], all.parameters[1]));
}

TEST_P(GroupedLinearContract, KeepsNan) {
  LinearMemory memory(GetParam(), {2, 2, 8, 3}, true);
  memory.inputs[8 + 5] = poison;  // of the second example of job 0
  const std::vector<float> output = forward_on(GetParam(), memory, true);
  for (std::size_t at = 0; at < output.size(); ++at) EXPECT_EQ(std::isnan(output[at]), at / 3 == 1) << at;
  const LinearGradients gradients = backward_on(GetParam(), memory, true);
  EXPECT_FALSE(std::isnan(gradients.input[8 + 5]));  // NaN is not ≤ 0
}

INSTANTIATE_TEST_SUITE_P(Backends, GroupedLinearContract, every_backend, ::testing::PrintToStringParamName());

TEST(GroupedLinear, RefusesWrongArguments) {
  float value = 0;
  GroupedLinear forward;
  forward.jobs = forward.batch = forward.inputs = forward.outputs = 1;
  forward.parameters[0] = &value;
  forward.input = forward.output = &value;
  GroupedLinear wrong = forward;
  wrong.jobs = 17;
  expect_refused(wrong, "too many jobs");
  wrong = forward;
  wrong.batch = 9;
  expect_refused(wrong, "too large a batch");
  wrong = forward;
  wrong.inputs = wrong.outputs = std::size_t{1} << 14;
  expect_refused(wrong, "too many weights");
  wrong = forward;
  wrong.inputs = 0;
  expect_refused(wrong, "no inputs");
  wrong = forward;
  wrong.jobs = 2;
  expect_refused(wrong, "parameters of a job are null");
  wrong = forward;
  wrong.output = nullptr;
  expect_refused(wrong, "a pointer is null");
  GroupedLinearBackward backward;
  backward.jobs = backward.batch = backward.inputs = backward.outputs = 1;
  backward.parameters[0] = &value;
  expect_refused(backward, "gradients of a job are null");
  backward.gradients[0] = &value;
  backward.input = &value;
  expect_refused(backward, "a pointer is null");
}

TEST(GroupedLinear, DoesNothingForAnEmptyGroup) {
  EXPECT_NO_THROW(GroupedLinear().run());
  EXPECT_NO_THROW(GroupedLinearBackward().run());
#if TARDIGRAD_CUDA
  EXPECT_NO_THROW(GroupedLinear().launch(nullptr));
  EXPECT_NO_THROW(GroupedLinearBackward().launch(nullptr));
#endif
}

TEST(GroupedLinear, CountsBytesAndFlops) {
  GroupedLinear forward;
  forward.jobs = 3;
  forward.batch = 4;
  forward.inputs = 10;
  forward.outputs = 5;
  EXPECT_EQ(forward.bytes(), 3 * (50 + 5 + 4 * 15) * 4);
  EXPECT_EQ(forward.flops(), 3 * 2 * 4 * 50);
  GroupedLinearBackward backward;
  static_cast<GroupOfLinears&>(backward) = forward;
  EXPECT_EQ(backward.bytes(), 3 * (50 + 5 + 4 * 15) * 4);
  EXPECT_EQ(backward.flops(), 3 * 2 * 4 * 50);
  float value = 0;
  backward.input_gradient = &value;
  EXPECT_EQ(backward.bytes(), 3 * (100 + 5 + 4 * 25) * 4);
  EXPECT_EQ(backward.flops(), 3 * 4 * 4 * 50);
}

}  // namespace
}  // namespace tardigrad
