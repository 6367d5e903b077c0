#include "kernels/adamw_step.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "tests/kernels/backend.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;

/// The vectors before a step, and also after it.
struct AdamWState {
  std::vector<float> direction, first, second, model, hand_over;
};

struct AdamWCase {
  bool hand_over, scale;
};

constexpr float clip_scale = 0.3F;
constexpr AdamWStep usual{.step = 3, .step_size = 0.07, .weight_decay = 0.1};

AdamWState random_state(std::size_t dimension) {
  std::mt19937 random(static_cast<unsigned>(dimension) + 1);
  AdamWState state;
  for (auto* vector : {&state.direction, &state.first, &state.second, &state.model}) {
    vector->resize(dimension);
    std::ranges::generate(*vector, [&] { return std::uniform_real_distribution<float>(-1, 1)(random); });
  }
  for (float& value : state.second) value = std::abs(value);
  state.hand_over.assign(dimension, poison);
  return state;
}

/// The equations of adamw_step.h in float64.
AdamWState expected(const AdamWCase& c, const AdamWState& before, const AdamWStep& step) {
  AdamWState after = before;
  const auto k = static_cast<double>(step.step);
  for (std::size_t i = 0; i < before.model.size(); ++i) {
    const double g =
        (c.scale ? static_cast<double>(clip_scale) : 1) * static_cast<double>(before.direction[i]);
    const double m = step.beta1 * static_cast<double>(before.first[i]) + (1 - step.beta1) * g;
    const double v = step.beta2 * static_cast<double>(before.second[i]) + (1 - step.beta2) * g * g;
    const double first = m / (1 - std::pow(step.beta1, k));
    const double second = v / (1 - std::pow(step.beta2, k));
    const double x = static_cast<double>(before.model[i]);
    after.first[i] = static_cast<float>(m);
    after.second[i] = static_cast<float>(v);
    after.model[i] = static_cast<float>(x - step.step_size * step.weight_decay * x -
                                        step.step_size * first / (std::sqrt(second) + step.epsilon));
  }
  return after;
}

AdamWState stepped(Backend backend, const AdamWCase& c, const AdamWState& before, AdamWStep step,
                   std::size_t offset = 0) {
  const Guarded<float> direction(backend, before.direction, offset);
  const Guarded<float> first(backend, before.first, offset);
  const Guarded<float> second(backend, before.second, offset);
  const Guarded<float> model(backend, before.model, offset);
  const Guarded<float> hand_over(backend, before.hand_over, offset);
  const Guarded<float> scale(backend, {clip_scale}, offset);
  step.dimension = before.model.size();
  step.direction = direction.data();
  step.first_moment = first.data();
  step.second_moment = second.data();
  step.model = model.data();
  step.hand_over = c.hand_over ? hand_over.data() : nullptr;
  step.scale = c.scale ? scale.data() : nullptr;
  execute(backend, step);
  EXPECT_TRUE(same_bits(direction.values(), before.direction));
  return {before.direction, first.values(), second.values(), model.values(), hand_over.values()};
}

class AdamWStepContract : public OnBackend {};

TEST_P(AdamWStepContract, FollowsFloat64) {
  // Of the moments a few roundings of numbers below 1. The model moves by at most γ·|m|/√v/(1 − β₁³), with
  // |m| < 1 and √v > 0.003 here; some six roundings of that, each 2⁻²⁴ of it.
  constexpr float of_moments = 0x1p-22F;
  for (const AdamWCase& c : {AdamWCase{false, false}, {true, false}, {false, true}, {true, true}}) {
    for (const std::size_t dimension : {1, 3, 4, 5, 64, 1023, 4099}) {
      const AdamWState before = random_state(dimension);
      const AdamWState want = expected(c, before, usual);
      const AdamWState got = stepped(GetParam(), c, before, usual, dimension % 3);
      for (std::size_t i = 0; i < dimension; ++i) {
        ASSERT_NEAR(got.first[i], want.first[i], of_moments) << "element " << i;
        ASSERT_NEAR(got.second[i], want.second[i], of_moments) << "element " << i;
        const float moved = std::abs(want.model[i] - before.model[i]);
        ASSERT_NEAR(got.model[i], want.model[i], 8 * 0x1p-24F * (1 + moved)) << "element " << i;
      }
      EXPECT_TRUE(same_bits(got.hand_over, c.hand_over ? got.model : before.hand_over));
    }
  }
}

TEST_P(AdamWStepContract, GivesTheBitsOfACpu) {
#if defined(FP_FAST_FMAF)
  const AdamWCase c{true, true};
  const AdamWState before = random_state(4099);
  const AdamWState want = stepped(Backend::cpu, c, before, usual);
  const AdamWState got = stepped(GetParam(), c, before, usual);
  EXPECT_TRUE(same_bits(got.first, want.first));
  EXPECT_TRUE(same_bits(got.second, want.second));
  EXPECT_TRUE(same_bits(got.model, want.model));
#endif
}

// From zeros, with β₁ᵏ and β₂ᵏ made good for, the first step is γ in the direction of every sign.
TEST_P(AdamWStepContract, TheFirstStepIsAsLongAsTheStepSize) {
  AdamWState before = random_state(100);
  before.first.assign(100, 0);
  before.second.assign(100, 0);
  AdamWStep step{.step = 1, .step_size = 0.5};
  const AdamWState got = stepped(GetParam(), {false, false}, before, step);
  for (std::size_t i = 0; i < 100; ++i) {
    EXPECT_NEAR(got.model[i], before.model[i] - std::copysign(0.5F, before.direction[i]), 1e-5F);  // and ε
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, AdamWStepContract, every_backend, ::testing::PrintToStringParamName());

TEST(AdamWStep, RefusesWrongArguments) {
  float values[4] = {};
  const AdamWStep complete{.dimension = 1,
                           .direction = &values[0],
                           .first_moment = &values[1],
                           .second_moment = &values[2],
                           .model = &values[3],
                           .step = 1};
  AdamWStep step = complete;
  step.direction = nullptr;
  expect_refused(step, "direction is null");
  step = complete;
  step.second_moment = nullptr;
  expect_refused(step, "a moment is null");
  step = complete;
  step.model = nullptr;
  expect_refused(step, "model is null");
  step = complete;
  step.step = 0;
  expect_refused(step, "step 0, expected 1 or more");
  EXPECT_NO_THROW(complete.run());
  EXPECT_NO_THROW(AdamWStep{}.run());
}

TEST(AdamWStep, CountsBytesAndFlops) {
  float value = 0;
  AdamWStep step{.dimension = 1000};
  EXPECT_EQ(step.bytes(), 28000);
  EXPECT_EQ(step.flops(), 14000);
  step.hand_over = &value;
  EXPECT_EQ(step.bytes(), 32000);
}

}  // namespace
}  // namespace tardigrad
