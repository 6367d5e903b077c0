#include "kernels/sgd_step.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <stdexcept>

#include "tests/kernels/backend.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;

/// The vectors before a step, and also after it.
struct StepVectors {
  std::vector<float> direction, momentum, model, hand_over;
};

struct StepCase {
  bool momentum, hand_over, scale;
};

std::ostream& operator<<(std::ostream& out, const StepCase& c) {
  return out << (c.momentum ? "momentum" : "no momentum") << (c.hand_over ? ", hand-over" : "")
             << (c.scale ? ", scale" : "");
}

std::vector<StepCase> every_case() {
  std::vector<StepCase> cases;
  for (const bool momentum : {false, true}) {
    for (const bool hand_over : {false, true}) {
      for (const bool scale : {false, true}) cases.push_back({momentum, hand_over, scale});
    }
  }
  return cases;
}

struct StepWeights {
  float step_size, momentum, decay, scale;
};
constexpr StepWeights dyadic_step_weights{0.125F, 0.5F, 0.25F, 0.5F};
constexpr StepWeights odd_step_weights{0.07F, 0.9F, 1.0F / 3, 0.3F};

template <typename Draw>
StepVectors make_step_vectors(std::size_t dimension, const Draw& draw) {
  StepVectors v;
  for (auto* vector : {&v.direction, &v.momentum, &v.model}) {
    vector->resize(dimension);
    std::generate(vector->begin(), vector->end(), draw);
  }
  v.hand_over.assign(dimension, poison);
  return v;
}

/// Multiples of 1/8 in [−2, 2): with the dyadic weights above every result is exact in fp32.
StepVectors dyadic_step_vectors(std::size_t dimension) {
  std::minstd_rand random(static_cast<unsigned>(dimension) + 1);
  return make_step_vectors(
      dimension, [&] { return static_cast<float>(static_cast<int>(random() >> 8 & 31U) - 16) / 8; });
}

StepVectors random_step_vectors(std::size_t dimension) {
  std::mt19937 random(static_cast<unsigned>(dimension) + 1);
  return make_step_vectors(dimension, [&] { return std::uniform_real_distribution<float>(-1, 1)(random); });
}

/// The equations of sgd_step.h in numbers of type Real, with `multiply_add(a, b, c)` for a·b + c.
template <typename Real, typename MultiplyAdd>
StepVectors expected(const StepCase& c, const StepVectors& before, const StepWeights& weights,
                     const MultiplyAdd& multiply_add) {
  StepVectors after = before;
  const auto real = [](float value) { return static_cast<Real>(value); };
  for (std::size_t i = 0; i < before.model.size(); ++i) {
    const Real x = real(before.model[i]);
    const Real scaled = real(c.scale ? weights.scale : 1) * real(before.direction[i]);
    Real step = multiply_add(real(weights.decay), x, scaled);
    if (c.momentum) {
      step = multiply_add(real(weights.momentum), real(before.momentum[i]), step);
      after.momentum[i] = static_cast<float>(step);
    }
    after.model[i] = static_cast<float>(multiply_add(-real(weights.step_size), step, x));
    if (c.hand_over) after.hand_over[i] = after.model[i];
  }
  return after;
}

StepVectors expected_in_float64(const StepCase& c, const StepVectors& before, const StepWeights& weights) {
  return expected<double>(c, before, weights,
                          [](double a, double b, double addend) { return a * b + addend; });
}

StepVectors stepped(Backend backend, const StepCase& c, const StepVectors& before, const StepWeights& weights,
                    std::size_t offset = 0) {
  const Guarded<float> direction(backend, before.direction, offset);
  const Guarded<float> momentum(backend, before.momentum, offset);
  const Guarded<float> model(backend, before.model, offset);
  const Guarded<float> hand_over(backend, before.hand_over, offset);
  const Guarded<float> scale(backend, {weights.scale}, offset);
  SgdStep step;
  step.dimension = before.model.size();
  step.direction = direction.data();
  step.momentum = c.momentum ? momentum.data() : nullptr;
  step.model = model.data();
  step.hand_over = c.hand_over ? hand_over.data() : nullptr;
  step.scale = c.scale ? scale.data() : nullptr;
  step.step_size = weights.step_size;
  step.momentum_weight = c.momentum ? weights.momentum : 0;
  step.weight_decay = weights.decay;
  execute(backend, step);
  EXPECT_TRUE(same_bits(scale.values(), {weights.scale}));
  return {direction.values(), momentum.values(), model.values(), hand_over.values()};
}

void expect_same_bits(const StepVectors& actual, const StepVectors& expected) {
  EXPECT_TRUE(same_bits(actual.direction, expected.direction)) << "direction";
  EXPECT_TRUE(same_bits(actual.momentum, expected.momentum)) << "momentum";
  EXPECT_TRUE(same_bits(actual.model, expected.model)) << "model";
  EXPECT_TRUE(same_bits(actual.hand_over, expected.hand_over)) << "hand-over";
}

class SgdStepContract : public OnBackend {};

TEST_P(SgdStepContract, IsExactOnDyadicInputsAndLeavesTheRestAlone) {
  for (const StepCase& c : every_case()) {
    for (const std::size_t dimension : {0, 1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 63, 65, 1023, 4097}) {
      SCOPED_TRACE(::testing::Message() << c << ", d = " << dimension);
      const StepVectors before = dyadic_step_vectors(dimension);
      expect_same_bits(stepped(GetParam(), c, before, dyadic_step_weights, dimension % 3),
                       expected_in_float64(c, before, dyadic_step_weights));
      ASSERT_FALSE(HasFailure());
    }
  }
}

TEST_P(SgdStepContract, FollowsFloat64OnRandomInputs) {
  // Nothing exceeds 4 in size, so a rounding costs at most 2^-23; the model passes through at most four,
  // three of them shrunk by γ, and `expected` is rounded once more.
  constexpr float tolerance = 5 * 0x1p-23F;
  for (const StepCase& c : every_case()) {
    SCOPED_TRACE(::testing::Message() << c);
    const StepVectors before = random_step_vectors(4099);
    const StepVectors want = expected_in_float64(c, before, odd_step_weights);
    const StepVectors got = stepped(GetParam(), c, before, odd_step_weights);
    for (std::size_t i = 0; i < before.model.size(); ++i) {
      ASSERT_NEAR(got.momentum[i], want.momentum[i], tolerance) << "element " << i;
      ASSERT_NEAR(got.model[i], want.model[i], tolerance) << "element " << i;
    }
    EXPECT_TRUE(same_bits(got.hand_over, c.hand_over ? got.model : before.hand_over));
  }
}

#if defined(FP_FAST_FMAF)
TEST_P(SgdStepContract, RoundsEveryMultiplyAddOnce) {
  for (const StepCase& c : every_case()) {
    SCOPED_TRACE(::testing::Message() << c);
    const StepVectors before = random_step_vectors(4099);
    expect_same_bits(stepped(GetParam(), c, before, odd_step_weights),
                     expected<float>(c, before, odd_step_weights,
                                     [](float a, float b, float addend) { return std::fma(a, b, addend); }));
  }
}
#endif

TEST_P(SgdStepContract, MakesEverythingNanByAScaleOfNan) {
  const StepCase c{true, true, true};
  const StepVectors got = stepped(GetParam(), c, dyadic_step_vectors(37), {0.125F, 0.5F, 0.25F, poison});
  for (const auto* vector : {&got.momentum, &got.model, &got.hand_over}) {
    EXPECT_TRUE(std::all_of(vector->begin(), vector->end(), [](float x) { return std::isnan(x); }));
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, SgdStepContract, every_backend, ::testing::PrintToStringParamName());

TEST(SgdStep, RefusesWrongArguments) {
  float values[2] = {};
  SgdStep complete;
  complete.dimension = 1;
  complete.direction = &values[0];
  complete.model = &values[1];
  SgdStep step = complete;
  step.direction = nullptr;
  expect_refused(step, "direction is null");
  step = complete;
  step.model = nullptr;
  expect_refused(step, "model is null");
  step = complete;
  step.momentum_weight = 0.9F;
  expect_refused(step, "momentum is null");
  EXPECT_NO_THROW(complete.run());
}

TEST(SgdStep, DoesNothingForNoParameters) {
  EXPECT_NO_THROW(SgdStep{}.run());
#if TARDIGRAD_CUDA
  EXPECT_NO_THROW(SgdStep{}.launch(nullptr));
#endif
}

TEST(SgdStep, CountsBytesAndFlops) {
  float value = 0;
  SgdStep step;
  step.dimension = 1000;
  EXPECT_EQ(step.bytes(), 12000);
  EXPECT_EQ(step.flops(), 5000);
  step.momentum = &value;
  EXPECT_EQ(step.bytes(), 20000);
  EXPECT_EQ(step.flops(), 7000);
  step.hand_over = &value;
  EXPECT_EQ(step.bytes(), 24000);
}

}  // namespace
}  // namespace tardigrad
