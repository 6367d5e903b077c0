#include "kernels/bias_relu_max_pool_backward.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "tests/kernels/backend.h"
#include "tests/kernels/partial_sums.h"
#include "tests/kernels/pool_cases.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;

template <typename Number>
struct BackwardInput {
  PoolShape shape;
  std::vector<Number> output_gradient;
  std::vector<std::uint8_t> winners;
};

template <typename Number>
struct ExactGradients {
  std::vector<Number> input_gradient;
  std::vector<double> bias_gradient;
};

/// Every winner, and none, equally often.
std::vector<std::uint8_t> some_winners(std::size_t size) {
  std::minstd_rand random(11);
  std::vector<std::uint8_t> winners(size);
  for (std::uint8_t& winner : winners) winner = static_cast<std::uint8_t>((random() >> 8) % 5);
  return winners;
}

template <typename Number>
ExactGradients<Number> expected(const BackwardInput<Number>& in) {
  const PoolShape& s = in.shape;
  ExactGradients<Number> result{std::vector<Number>(s.input_size()), std::vector<double>(s.channels)};
  for_each_output(s, [&](std::size_t n, std::size_t c, std::size_t y, std::size_t x) {
    const std::size_t out = output_place(s, n, c, y, x);
    const std::size_t winner = in.winners[out];
    if (winner != no_winner) {
      result.input_gradient[input_place(s, n, c, 2 * y + winner / 2, 2 * x + winner % 2)] =
          in.output_gradient[out];
      result.bias_gradient[c] += static_cast<double>(widen(in.output_gradient[out]));
    }
  });
  return result;
}

template <typename Number>
struct PoolGradients {
  std::vector<Number> input_gradient;
  std::vector<float> bias_gradient;
};

template <typename Number>
PoolGradients<Number> computed(Backend backend, const BackwardInput<Number>& in, std::size_t offset = 0) {
  using Backward = BiasReluMaxPoolBackward<Number>;
  const Guarded<Number> output_gradient(backend, in.output_gradient, offset);
  const Guarded<std::uint8_t> winners(backend, in.winners, offset);
  const Guarded<Number> input_gradient(
      backend, std::vector<Number>(in.shape.input_size(), nearest<Number>(poison)), offset);
  const PartialSums sums = Backward::sums(in.shape);
  const Guarded<float> partial_sums = no_sums_yet(backend, sums, offset);
  execute(backend, Backward{in.shape, output_gradient.data(), winners.data(), input_gradient.data(),
                            partial_sums.data()});
  EXPECT_TRUE(same_bits(output_gradient.values(), in.output_gradient));
  EXPECT_TRUE(same_bits(winners.values(), in.winners));
  return {input_gradient.values(), add_parts(backend, partial_sums, sums)};
}

class BiasReluMaxPoolBackwardContract : public OnBackend {
 protected:
  template <typename Check>
  static void for_each_type(const Check& check) {
    check(float{});
    check(Bf16{});
  }
};

TEST_P(BiasReluMaxPoolBackwardContract, IsExactOnDyadicInputsAndWritesEveryElement) {
  for_each_type([]<typename Number>(Number) {
    for_each_pool_shape([](const PoolShape& shape) {
      const BackwardInput<Number> in{shape, dyadic_numbers<Number>(shape.output_size(), 3),
                                     some_winners(shape.output_size())};
      const ExactGradients<Number> want = expected(in);
      const PoolGradients<Number> got = computed(GetParam(), in);
      EXPECT_TRUE(same_bits(got.input_gradient, want.input_gradient)) << "input gradient";
      const std::vector<float> bias_gradient(want.bias_gradient.begin(), want.bias_gradient.end());
      EXPECT_TRUE(same_bits(got.bias_gradient, bias_gradient)) << "bias gradient";
    });
  });
}

TEST_P(BiasReluMaxPoolBackwardContract, SumsALargeBatchAsFloat64Does) {
  for (const MemoryFormat input : {MemoryFormat::channel_major, MemoryFormat::channels_last}) {
    const PoolShape shape{1100, 12, 6, 8, input, MemoryFormat::channels_last};
    const BackwardInput<float> in{shape, random_numbers<float>(shape.output_size(), 5),
                                  some_winners(shape.output_size())};
    const ExactGradients<float> want = expected(in);
    const PoolGradients<float> got = computed(GetParam(), in);
    EXPECT_TRUE(same_bits(got.input_gradient, want.input_gradient));
    for (std::size_t c = 0; c < shape.channels; ++c) {
      // A part has about a dozen terms below 1, added in fp32 at a cost of 2^-24 · 12 each, and there are
      // about 1,100 parts; the last rounding is one more.
      EXPECT_NEAR(static_cast<double>(got.bias_gradient[c]), want.bias_gradient[c], 1100 * 12 * 0x1p-24 * 12);
    }
    EXPECT_TRUE(same_bits(computed(GetParam(), in).bias_gradient, got.bias_gradient)) << "from run to run";
  }
}

TEST_P(BiasReluMaxPoolBackwardContract, DoesNotDependOnAlignment) {
  for_each_type([]<typename Number>(Number) {
    for (const MemoryFormat format : {MemoryFormat::channel_major, MemoryFormat::channels_last}) {
      const PoolShape shape{3, 16, 7, 16, format, format};
      const BackwardInput<Number> in{shape, dyadic_numbers<Number>(shape.output_size(), 7),
                                     some_winners(shape.output_size())};
      const PoolGradients<Number> aligned = computed(GetParam(), in);
      for (const std::size_t offset : {1, 2, 4, 5}) {
        SCOPED_TRACE(::testing::Message() << "offset " << offset);
        const PoolGradients<Number> shifted = computed(GetParam(), in, offset);
        EXPECT_TRUE(same_bits(shifted.input_gradient, aligned.input_gradient));
        EXPECT_TRUE(same_bits(shifted.bias_gradient, aligned.bias_gradient));
      }
    }
  });
}

TEST_P(BiasReluMaxPoolBackwardContract, KeepsNanWhereItWins) {
  const PoolShape shape{1, 1, 2, 4, {}, {}};
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const PoolGradients<float> closed =
      computed(GetParam(), BackwardInput<float>{shape, {nan, 2}, {no_winner, 3}});
  EXPECT_TRUE(same_bits(closed.input_gradient, {0, 0, 0, 0, 0, 0, 0, 2}));
  EXPECT_EQ(closed.bias_gradient[0], 2);
  const PoolGradients<float> open = computed(GetParam(), BackwardInput<float>{shape, {nan, 2}, {2, 3}});
  EXPECT_TRUE(std::isnan(open.input_gradient[4]));
  EXPECT_EQ(open.input_gradient[0], 0);
  EXPECT_TRUE(std::isnan(open.bias_gradient[0]));
}

INSTANTIATE_TEST_SUITE_P(Backends, BiasReluMaxPoolBackwardContract, every_backend,
                         ::testing::PrintToStringParamName());

TEST(BiasReluMaxPoolBackward, BoundsItsPartialSums) {
  const auto size = [](std::size_t batch, MemoryFormat format) {
    return BiasReluMaxPoolBackward<float>::sums({batch, 64, 32, 32, format, format}).size();
  };
  EXPECT_EQ(size(128, MemoryFormat::channel_major), 128 * 64);
  EXPECT_EQ(size(1, MemoryFormat::channels_last), 32 * 64);
  EXPECT_EQ(size(128, MemoryFormat::channels_last), 1024 * 64);
  EXPECT_LE(size(100'000, MemoryFormat::channels_last), 1024 * 64);
}

TEST(BiasReluMaxPoolBackward, RefusesWrongArguments) {
  using Backward = BiasReluMaxPoolBackward<float>;
  float value = 0;
  std::uint8_t winner = 0;
  const PoolShape shape{1, 1, 2, 2, {}, {}};
  expect_refused<Backward>({shape, nullptr, &winner, &value, &value}, "output_gradient is null");
  expect_refused<Backward>({shape, &value, nullptr, &value, &value}, "winners is null");
  expect_refused<Backward>({shape, &value, &winner, nullptr, &value}, "input_gradient is null");
  expect_refused<Backward>({shape, &value, &winner, &value, nullptr}, "partial_sums is null");
  const PoolShape large{std::size_t{1} << 30, 1, 4, 4, {}, {}};
  expect_refused<Backward>({large, &value, &winner, &value, &value}, "too many windows");
}

TEST(BiasReluMaxPoolBackward, CountsBytesAndFlops) {
  BiasReluMaxPoolBackward<Bf16> pool;
  pool.shape = {2, 3, 5, 4, {}, {}};
  EXPECT_EQ(pool.bytes(), 24 * 3 + 120 * 2 + 2 * 12) << "an image is a part";
  EXPECT_EQ(pool.flops(), 24);
}

}  // namespace
}  // namespace tardigrad
