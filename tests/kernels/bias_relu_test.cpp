#include "kernels/bias_relu.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <stdexcept>

#include "tests/kernels/backend.h"
#include "tests/kernels/pool_cases.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;

struct Size {
  std::size_t batch, outputs;
};

constexpr Size sizes[] = {{1, 1},   {3, 7},    {32, 10}, {33, 128}, {100, 8},
                          {257, 9}, {5, 3000}, {0, 12},  {4, 0}};

class BiasReluContract : public OnBackend {
 protected:
  template <typename Check>
  static void for_each_size(const Check& check) {
    for (const Size& size : sizes) {
      SCOPED_TRACE(::testing::Message() << size.batch << " × " << size.outputs);
      check(float{}, size);
      check(Bf16{}, size);
    }
  }
};

TEST_P(BiasReluContract, AddsTheBiasAndClosesAtZero) {
  for_each_size([]<typename Number>(Number, const Size& size) {
    std::vector<Number> before = random_numbers<Number>(size.batch * size.outputs, 1);
    const std::vector<Number> biases = random_numbers<Number>(size.outputs, 2);
    if (!before.empty()) before[0] = nearest<Number>(std::numeric_limits<float>::quiet_NaN());
    for (const bool relu : {false, true}) {
      const Guarded<Number> bias(GetParam(), biases);
      const Guarded<Number> values(GetParam(), before);
      execute(GetParam(), BiasRelu<Number>{size.batch, size.outputs, relu, bias.data(), values.data()});
      const std::vector<Number> after = values.values();
      for (std::size_t i = 0; i < before.size(); ++i) {
        const float sum = widen(before[i]) + widen(biases[i % size.outputs]);
        const float want = widen(nearest<Number>(relu && sum < 0 ? 0.0F : sum));
        const float got = widen(after[i]);
        ASSERT_TRUE(got == want || (std::isnan(got) && std::isnan(want))) << "element " << i;
      }
    }
  });
}

template <typename Number>
struct Gradients {
  std::vector<Number> gradient;
  std::vector<float> bias_gradient;
};

template <typename Number>
Gradients<Number> gated(Backend backend, const Size& size, const std::vector<Number>* activations,
                        const std::vector<Number>& before) {
  const Guarded<Number> activation(backend, activations != nullptr ? *activations : std::vector<Number>{});
  const Guarded<Number> gradient(backend, before);
  const Guarded<Number> gated(backend, before);
  const Guarded<float> bias_gradient(backend, std::vector<float>(size.outputs, -77));
  BiasReluBackward<Number, float> operation{size.batch,      size.outputs, nullptr,
                                            gradient.data(), nullptr,      bias_gradient.data()};
  if (activations != nullptr) {
    operation.activation = activation.data();
    operation.gated = gated.data();
  }
  execute(backend, operation);
  EXPECT_TRUE(same_bits(gradient.values(), before));
  // In the place of the activation, as networks have it.
  operation.gated = activation.data();
  if (activations != nullptr) {
    execute(backend, operation);
    EXPECT_TRUE(same_bits(activation.values(), gated.values()));
  }
  return {gated.values(), bias_gradient.values()};
}

TEST_P(BiasReluContract, GatesTheGradientAndSumsIt) {
  for_each_size([]<typename Number>(Number, const Size& size) {
    const std::vector<Number> before = dyadic_numbers<Number>(size.batch * size.outputs, 3);
    std::vector<Number> activations = dyadic_numbers<Number>(size.batch * size.outputs, 4);
    if (!before.empty()) activations[0] = nearest<Number>(std::numeric_limits<float>::quiet_NaN());
    for (const bool relu : {false, true}) {
      std::vector<Number> want = before;
      std::vector<float> sums(size.outputs);
      for (std::size_t i = 0; i < want.size(); ++i) {
        if (relu && widen(activations[i]) <= 0) want[i] = Number{};
        sums[i % size.outputs] += widen(want[i]);  // exact
      }
      const Gradients<Number> got = gated(GetParam(), size, relu ? &activations : nullptr, before);
      EXPECT_TRUE(same_bits(got.gradient, want));
      EXPECT_TRUE(same_bits(got.bias_gradient, sums));
    }
  });
}

TEST_P(BiasReluContract, SumsInOneOrderAndRoundsOnce) {
  for (const Size& size : {Size{500, 37}, {31, 5}}) {
    const std::vector<float> before = random_numbers<float>(size.batch * size.outputs, 5);
    const Gradients<float> got = gated<float>(GetParam(), size, nullptr, before);
    EXPECT_TRUE(
        same_bits(got.bias_gradient, gated<float>(Backend::cpu, size, nullptr, before).bias_gradient));
    for (std::size_t output = 0; output < size.outputs; ++output) {
      double sum = 0;
      for (std::size_t n = 0; n < size.batch; ++n) {
        sum += static_cast<double>(before[n * size.outputs + output]);
      }
      // The rounding to fp32 of a sum below 64, and far less before it.
      EXPECT_NEAR(static_cast<double>(got.bias_gradient[output]), sum, 0x1p-19);
    }
  }
}

TEST_P(BiasReluContract, RoundsSumsToBf16) {
  const Guarded<Bf16> gradient(GetParam(), {nearest<Bf16>(256), nearest<Bf16>(1)});
  const Guarded<Bf16> bias_gradient(GetParam(), {Bf16{}});
  execute(GetParam(),
          BiasReluBackward<Bf16, Bf16>{2, 1, nullptr, gradient.data(), nullptr, bias_gradient.data()});
  EXPECT_EQ(widen(bias_gradient.values()[0]), 256);  // 257 lies halfway to 258; even wins
}

INSTANTIATE_TEST_SUITE_P(Backends, BiasReluContract, every_backend, ::testing::PrintToStringParamName());

TEST(BiasRelu, RefusesNullPointers) {
  float value = 0;
  expect_refused(BiasRelu<float>{1, 1, true, nullptr, &value}, "a pointer is null");
  expect_refused(BiasRelu<float>{1, 1, true, &value, nullptr}, "a pointer is null");
  using Backward = BiasReluBackward<float, float>;
  expect_refused(Backward{1, 1, nullptr, nullptr, nullptr, &value}, "a pointer is null");
  expect_refused(Backward{1, 1, nullptr, &value, nullptr, nullptr}, "a pointer is null");
  expect_refused(Backward{1, 1, &value, &value, nullptr, &value}, "gated is null");
}

TEST(BiasRelu, CountsBytesAndFlops) {
  BiasRelu<Bf16> forward;
  forward.batch = 4;
  forward.outputs = 10;
  EXPECT_EQ(forward.bytes(), 180);
  EXPECT_EQ(forward.flops(), 40);
  const BiasReluBackward<Bf16, float> backward{4, 10, nullptr, nullptr, nullptr, nullptr};
  EXPECT_EQ(backward.bytes(), 120);
  EXPECT_EQ(backward.flops(), 40);
}

}  // namespace
}  // namespace tardigrad
