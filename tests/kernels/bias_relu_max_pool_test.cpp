#include "kernels/bias_relu_max_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "tests/kernels/backend.h"
#include "tests/kernels/pool_cases.h"
#include "tests/support/quick_build.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;

template <typename Number>
struct PoolOutput {
  std::vector<Number> output;
  std::vector<std::uint8_t> winners;
};

template <typename Number>
struct PoolInput {
  PoolShape shape;
  std::vector<Number> image;
  std::vector<float> bias;
};

/// Adds the bias, applies ReLU, and then pools, each by itself, in double. (The sums are rounded to fp32, in
/// which the contract makes them.)
template <typename Number>
PoolOutput<Number> expected(const PoolInput<Number>& in) {
  const PoolShape& s = in.shape;
  PoolOutput<Number> result{std::vector<Number>(s.output_size()), std::vector<std::uint8_t>(s.output_size())};
  for_each_output(s, [&](std::size_t n, std::size_t c, std::size_t y, std::size_t x) {
    std::array<double, 4> activations{};
    for (std::size_t i = 0; i < 4; ++i) {
      const Number number = in.image[input_place(s, n, c, 2 * y + i / 2, 2 * x + i % 2)];
      const double sum = static_cast<double>(widen(number) + in.bias[c]);
      activations[i] = sum <= 0 ? 0 : sum;
    }
    std::size_t best = 0;
    for (std::size_t i = 1; i < 4; ++i) {
      if (activations[i] > activations[best] || std::isnan(activations[i])) best = i;
    }
    const std::size_t out = output_place(s, n, c, y, x);
    result.output[out] = nearest<Number>(static_cast<float>(activations[best]));
    const bool closed = activations[best] <= 0;  // the derivative of ReLU is 0 there
    result.winners[out] = closed ? no_winner : static_cast<std::uint8_t>(best);
  });
  return result;
}

template <typename Number>
PoolOutput<Number> pooled(Backend backend, const PoolInput<Number>& in, std::size_t offset = 0) {
  const Number unwritten = nearest<Number>(-77);
  const Guarded<Number> image(backend, in.image, offset);
  const Guarded<float> bias(backend, in.bias, offset);
  const Guarded<Number> output(backend, std::vector<Number>(in.shape.output_size(), unwritten), offset);
  const Guarded<std::uint8_t> winners(backend, std::vector<std::uint8_t>(in.shape.output_size(), 99), offset);
  BiasReluMaxPool<Number> pool{in.shape, image.data(), bias.data(), output.data(), nullptr};
  execute(backend, pool);
  const std::vector<Number> without_winners = output.values();
  const Guarded<Number> output_again(backend, std::vector<Number>(in.shape.output_size(), unwritten), offset);
  pool.output = output_again.data();
  pool.winners = winners.data();
  execute(backend, pool);
  EXPECT_TRUE(same_bits(output_again.values(), without_winners)) << "the winners change the output";
  EXPECT_TRUE(same_bits(image.values(), in.image));
  EXPECT_TRUE(same_bits(bias.values(), in.bias));
  return {output_again.values(), winners.values()};
}

/// Bits, but that a NaN may be any NaN.
template <typename Number>
void expect_same(PoolOutput<Number> actual, PoolOutput<Number> expected) {
  for (std::size_t i = 0; i < expected.output.size(); ++i) {
    if (std::isnan(widen(expected.output[i]))) {
      ASSERT_TRUE(std::isnan(widen(actual.output[i]))) << "element " << i;
      actual.output[i] = expected.output[i] = Number{};
    }
  }
  EXPECT_TRUE(same_bits(actual.output, expected.output)) << "output";
  EXPECT_TRUE(same_bits(actual.winners, expected.winners)) << "winners";
}

class BiasReluMaxPoolContract : public OnBackend {
 protected:
  template <typename Check>
  static void for_each_type(const Check& check) {
    check(float{});
    check(Bf16{});
  }
};

TEST_P(BiasReluMaxPoolContract, TakesTheFirstOfEqualMaximaAndClosesAtZero) {
  for_each_type([]<typename Number>(Number) {
    for_each_pool_shape([](const PoolShape& shape) {
      const PoolInput<Number> in{shape, dyadic_numbers<Number>(shape.input_size(), 3),
                                 dyadic_numbers<float>(shape.channels, 4)};
      expect_same(pooled(GetParam(), in), expected(in));
    });
  });
}

TEST_P(BiasReluMaxPoolContract, AddsAndComparesInFp32AndRoundsOnce) {
  for_each_type([]<typename Number>(Number) {
    for_each_pool_shape([](const PoolShape& shape) {
      const PoolInput<Number> in{shape, random_numbers<Number>(shape.input_size(), 5),
                                 random_numbers<float>(shape.channels, 6)};
      expect_same(pooled(GetParam(), in), expected(in));
    });
  });
}

TEST_P(BiasReluMaxPoolContract, TreatsNanAndInfinityAsTheLayersDo) {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  const std::array<float, 8> specials{nan, infinity, -infinity, -0.0F, 0, 1, -1, 1e-40F};
  for_each_type([&]<typename Number>(Number) {
    // Windows side by side with every one of the 8^4 combinations.
    PoolInput<Number> in{
        {1, 1, 2, 2 * 4096, MemoryFormat::channel_major, MemoryFormat::channel_major}, {}, {0}};
    in.image.resize(in.shape.input_size());
    for (std::size_t combination = 0; combination < 4096; ++combination) {
      for (std::size_t i = 0; i < 4; ++i) {
        in.image[i / 2 * in.shape.width + 2 * combination + i % 2] =
            nearest<Number>(specials[combination >> (3 * i) & 7]);
      }
    }
    for (const float bias : {0.0F, -1.0F, infinity, nan}) {
      SCOPED_TRACE(::testing::Message() << "bias " << bias);
      in.bias = {bias};
      expect_same(pooled(GetParam(), in), expected(in));
    }
  });
}

TEST_P(BiasReluMaxPoolContract, DoesNotDependOnAlignment) {
  for_each_type([]<typename Number>(Number) {
    for (const MemoryFormat format : {MemoryFormat::channel_major, MemoryFormat::channels_last}) {
      const PoolShape shape{3, 16, 6, 16, format, format};
      const PoolInput<Number> in{shape, random_numbers<Number>(shape.input_size(), 7),
                                 random_numbers<float>(shape.channels, 8)};
      const PoolOutput<Number> want = expected(in);
      for (const std::size_t offset : {1, 2, 4, 5}) {
        SCOPED_TRACE(::testing::Message() << "offset " << offset);
        expect_same(pooled(GetParam(), in, offset), want);
      }
    }
  });
}

TEST_P(BiasReluMaxPoolContract, PoolsMoreWindowsThanADeviceHasThreads) {
  for (const MemoryFormat format : {MemoryFormat::channel_major, MemoryFormat::channels_last}) {
    const PoolShape shape{quick_build ? 150 : 1500, 4, 16, 16, format, format};  // emulated ones have 4096
    const PoolInput<float> in{shape, random_numbers<float>(shape.input_size(), 9),
                              random_numbers<float>(shape.channels, 10)};
    expect_same(pooled(GetParam(), in), expected(in));
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, BiasReluMaxPoolContract, every_backend,
                         ::testing::PrintToStringParamName());

TEST(BiasReluMaxPool, RefusesWrongArguments) {
  using Pool = BiasReluMaxPool<float>;
  float value = 0;
  const PoolShape shape{1, 1, 2, 2, {}, {}};
  expect_refused<Pool>({shape, nullptr, &value, &value, nullptr}, "input is null");
  expect_refused<Pool>({shape, &value, nullptr, &value, nullptr}, "bias is null");
  expect_refused<Pool>({shape, &value, &value, nullptr, nullptr}, "output is null");
  const PoolShape large{std::size_t{1} << 30, 1, 4, 4, {}, {}};
  expect_refused<Pool>({large, &value, &value, &value, nullptr}, "too many windows");
}

TEST(BiasReluMaxPool, CountsBytesAndFlops) {
  BiasReluMaxPool<Bf16> pool;
  pool.shape = {2, 3, 5, 4, {}, {}};
  EXPECT_EQ(pool.bytes(), 24 * (8 + 2) + 12);
  EXPECT_EQ(pool.flops(), 24 * 8);
  std::uint8_t winner = 0;
  pool.winners = &winner;
  EXPECT_EQ(pool.bytes(), 24 * (8 + 3) + 12);
}

}  // namespace
}  // namespace tardigrad
