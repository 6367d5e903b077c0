#include "kernels/conv_relu_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/kernels/backend.h"
#include "tests/kernels/partial_sums.h"
#include "tests/kernels/pool_cases.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;

template <typename Number>
struct ConvInput {
  ConvPoolShape shape;
  std::vector<Number> images;
  std::vector<float> weight, bias;
};

template <typename Number>
struct ConvOutput {
  std::vector<Number> output;
  std::vector<std::uint8_t> winners;
};

template <typename Number>
struct ConvGradient {
  std::vector<Number> output_gradient;
  std::vector<std::uint8_t> winners;
  std::vector<float> weight, bias;
};

std::size_t weight_place(const ConvPoolShape& s, std::size_t o, std::size_t c, std::size_t i, std::size_t j) {
  return ((o * s.input_channels + c) * s.kernel + i) * s.kernel + j;
}

/// visit(c, i, j, pixel) for the pixels that one element of the convolution's output reads.
template <typename Number, typename Visit>
void for_each_pixel(const ConvInput<Number>& in, std::size_t n, std::size_t y, std::size_t x,
                    const Visit& visit) {
  const ConvPoolShape& s = in.shape;
  for (std::size_t c = 0; c < s.input_channels; ++c) {
    for (std::size_t i = 0; i < s.kernel; ++i) {
      for (std::size_t j = 0; j < s.kernel; ++j) {
        const std::ptrdiff_t row = static_cast<std::ptrdiff_t>(y + i) - s.padding;
        const std::ptrdiff_t column = static_cast<std::ptrdiff_t>(x + j) - s.padding;
        const bool inside = row >= 0 && row < static_cast<std::ptrdiff_t>(s.height) && column >= 0 &&
                            column < static_cast<std::ptrdiff_t>(s.width);
        if (!inside) continue;
        const std::size_t at = place_of(s.input_format, {s.input_channels, s.height, s.width}, n, c,
                                        static_cast<std::size_t>(row), static_cast<std::size_t>(column));
        visit(c, i, j, static_cast<double>(widen(in.images[at])));
      }
    }
  }
}

/// The sums of a window, without the bias.
template <typename Number>
std::array<double, 4> window_sums(const ConvInput<Number>& in, std::size_t n, std::size_t o, std::size_t y,
                                  std::size_t x) {
  std::array<double, 4> sums{};
  for (std::size_t k = 0; k < 4; ++k) {
    for_each_pixel(in, n, 2 * y + k / 2, 2 * x + k % 2,
                   [&](std::size_t c, std::size_t i, std::size_t j, double pixel) {
                     sums[k] += static_cast<double>(in.weight[weight_place(in.shape, o, c, i, j)]) * pixel;
                   });
  }
  return sums;
}

/// In double. The first of equal maxima wins, and none where it is not above 0.
template <typename Number>
ConvOutput<Number> expected(const ConvInput<Number>& in) {
  const PoolShape pool = in.shape.pool();
  ConvOutput<Number> result{std::vector<Number>(pool.output_size()),
                            std::vector<std::uint8_t>(pool.output_size())};
  for_each_output(pool, [&](std::size_t n, std::size_t o, std::size_t y, std::size_t x) {
    const auto sums = window_sums(in, n, o, y, x);
    const auto best = std::ranges::max_element(sums);
    const double sum = *best + static_cast<double>(in.bias[o]);
    const std::size_t at = output_place(pool, n, o, y, x);
    result.output[at] = nearest<Number>(static_cast<float>(std::max(sum, 0.0)));
    result.winners[at] = sum > 0 ? static_cast<std::uint8_t>(best - sums.begin()) : no_winner;
  });
  return result;
}

template <typename Number>
ConvOutput<Number> computed(Backend backend, const ConvInput<Number>& in, std::size_t offset = 0) {
  const std::size_t size = in.shape.output_size();
  const Number unwritten = nearest<Number>(-77);
  const Guarded<Number> images(backend, in.images, offset);
  const Guarded<float> weight(backend, in.weight, offset);
  const Guarded<float> bias(backend, in.bias, offset);
  const Guarded<Number> output(backend, std::vector<Number>(size, unwritten), offset);
  const Guarded<Number> output_again(backend, std::vector<Number>(size, unwritten), offset);
  const Guarded<std::uint8_t> winners(backend, std::vector<std::uint8_t>(size, 99), offset);
  ConvReluPool<Number> operation{in.shape, images.data(), weight.data(), bias.data(), output.data(), nullptr};
  execute(backend, operation);
  operation.output = output_again.data();
  operation.winners = winners.data();
  execute(backend, operation);
  EXPECT_TRUE(same_bits(output_again.values(), output.values())) << "the winners change the output";
  EXPECT_TRUE(same_bits(images.values(), in.images));
  EXPECT_TRUE(same_bits(weight.values(), in.weight));
  return {output_again.values(), winners.values()};
}

template <typename Number>
ConvGradient<Number> expected_gradient(const ConvInput<Number>& in, ConvGradient<Number> gradient) {
  std::vector<double> weight(in.shape.weight_size());
  std::vector<double> bias(in.shape.channels);
  const PoolShape pool = in.shape.pool();
  for_each_output(pool, [&](std::size_t n, std::size_t o, std::size_t y, std::size_t x) {
    const std::size_t at = output_place(pool, n, o, y, x);
    const std::size_t winner = gradient.winners[at];
    if (winner >= no_winner) return;
    const double one = widen(gradient.output_gradient[at]);
    for_each_pixel(in, n, 2 * y + winner / 2, 2 * x + winner % 2,
                   [&](std::size_t c, std::size_t i, std::size_t j, double pixel) {
                     weight[weight_place(in.shape, o, c, i, j)] += one * pixel;
                   });
    bias[o] += one;
  });
  gradient.weight.assign(weight.begin(), weight.end());
  gradient.bias.assign(bias.begin(), bias.end());
  return gradient;
}

template <typename Number>
ConvGradient<Number> computed_gradient(Backend backend, const ConvInput<Number>& in,
                                       ConvGradient<Number> gradient, std::size_t offset = 0) {
  using Operation = ConvReluPoolBackward<Number>;
  const Guarded<Number> images(backend, in.images, offset);
  const Guarded<Number> output_gradient(backend, gradient.output_gradient, offset);
  const Guarded<std::uint8_t> winners(backend, gradient.winners, offset);
  const PartialSums sums = Operation::sums(in.shape);
  const Guarded<float> partial_sums = no_sums_yet(backend, sums, offset);
  execute(backend,
          Operation{in.shape, images.data(), output_gradient.data(), winners.data(), partial_sums.data()});
  EXPECT_TRUE(same_bits(output_gradient.values(), gradient.output_gradient));
  const std::vector<float> both =
      add_parts(backend, partial_sums, sums,
                {in.shape.weight_order(), {1, in.shape.channels, 1, MemoryFormat::channel_major}});
  const auto biases = both.begin() + static_cast<std::ptrdiff_t>(in.shape.weight_size());
  gradient.weight.assign(both.begin(), biases);
  gradient.bias.assign(biases, both.end());
  return gradient;
}

/// Calls `check` with shapes in every combination of formats: both kernels, all paddings, every number of
/// input channels, odd sizes, fewer output channels than a thread computes at once and more, several bands of
/// rows, more images than a GPU adds up in parts, the longest rows, and what has no window.
template <typename Check>
void for_each_shape(const Check& check) {
  const std::vector<ConvPoolShape> shapes{
      {1, 3, 32, 32, 12, 3, 1}, {2, 1, 28, 28, 10, 5, 2}, {2, 4, 9, 7, 9, 3, 0},   {1, 2, 5, 6, 1, 5, 4},
      {600, 1, 4, 4, 3, 3, 1},  {1, 3, 40, 42, 2, 3, 2},  {1, 2, 37, 30, 8, 5, 2}, {1, 4, 6, 250, 2, 5, 2},
      {1, 1, 4, 1530, 2, 3, 2}, {5, 2, 6, 4, 20, 3, 1},   {1, 1, 1, 1, 5, 3, 2},   {0, 3, 8, 8, 4, 3, 1},
      {1, 3, 9, 70, 40, 5, 4},  {2, 3, 8, 8, 0, 3, 1},    {2, 3, 2, 8, 4, 3, 0},   {2, 1, 3, 3, 4, 5, 0},
  };
  constexpr MemoryFormat formats[] = {MemoryFormat::channel_major, MemoryFormat::channels_last};
  for (ConvPoolShape shape : shapes) {
    for (const MemoryFormat input : formats) {
      for (const MemoryFormat output : formats) {
        shape.input_format = input;
        shape.output_format = output;
        SCOPED_TRACE(::testing::Message()
                     << shape.batch << " × " << shape.input_channels << " × " << shape.height << " × "
                     << shape.width << " to " << shape.channels << ", kernel " << shape.kernel << ", padding "
                     << shape.padding << (input == MemoryFormat::channel_major ? ", NCHW" : ", NHWC")
                     << (output == MemoryFormat::channel_major ? " → NCHW" : " → NHWC"));
        check(shape);
        ASSERT_FALSE(::testing::Test::HasFailure());
      }
    }
  }
}

template <typename Number>
ConvInput<Number> dyadic_input(const ConvPoolShape& shape) {
  return {shape, dyadic_numbers<Number>(shape.input_size(), 3), dyadic_numbers<float>(shape.weight_size(), 4),
          dyadic_numbers<float>(shape.channels, 5)};
}

template <typename Number>
ConvInput<Number> random_input(const ConvPoolShape& shape) {
  return {shape, random_numbers<Number>(shape.input_size(), 3), random_numbers<float>(shape.weight_size(), 4),
          random_numbers<float>(shape.channels, 5)};
}

/// A gradient with every kind of winner, and some that win nothing.
template <typename Number>
ConvGradient<Number> with_winners(const ConvPoolShape& shape, std::vector<Number> output_gradient) {
  std::minstd_rand random(6);
  std::vector<std::uint8_t> winners(shape.output_size());
  for (std::uint8_t& winner : winners) winner = static_cast<std::uint8_t>((random() >> 8) % 5);
  return {std::move(output_gradient), std::move(winners), {}, {}};
}

class ConvReluPoolContract : public OnBackend {
 protected:
  template <typename Check>
  static void for_each_type(const Check& check) {
    check(float{});
    check(Bf16{});
  }
};

TEST_P(ConvReluPoolContract, IsAConvolutionWithBiasReluAndPool) {
  for_each_type([]<typename Number>(Number) {
    for_each_shape([](const ConvPoolShape& shape) {
      const auto in = dyadic_input<Number>(shape);  // whose sums are exact in fp32
      const ConvOutput<Number> want = expected(in);
      const ConvOutput<Number> got = computed(GetParam(), in);
      EXPECT_TRUE(same_bits(got.output, want.output)) << "output";
      EXPECT_TRUE(same_bits(got.winners, want.winners)) << "winners";
    });
  });
}

TEST_P(ConvReluPoolContract, RoundsOnceWhatItAddsInFp32) {
  for (const unsigned kernel : {3U, 5U}) {
    const ConvPoolShape shape{2, 4, 12, 12, 11, kernel, 1};
    const auto in = random_input<float>(shape);
    const PoolShape pool = shape.pool();
    const ConvOutput<float> got = computed(GetParam(), in);
    // Each of as many sums as there are terms, of less than their number, is rounded to half of 2^-23 of it.
    const auto terms = static_cast<double>(shape.weight_size() / shape.channels + 1);
    const double tolerance = terms * terms * std::exp2(-24);
    for_each_output(pool, [&](std::size_t n, std::size_t o, std::size_t y, std::size_t x) {
      const auto sums = window_sums(in, n, o, y, x);
      const double largest = std::ranges::max(sums) + static_cast<double>(in.bias[o]);
      const std::size_t at = output_place(pool, n, o, y, x);
      ASSERT_NEAR(got.output[at], std::max(largest, 0.0), tolerance);
      if (got.winners[at] >= no_winner) return;
      ASSERT_NEAR(sums[got.winners[at]] + static_cast<double>(in.bias[o]), largest, 2 * tolerance);
    });
    ConvInput<Bf16> narrow{shape, std::vector<Bf16>(shape.input_size()), in.weight, in.bias};
    std::ranges::transform(in.images, narrow.images.begin(),
                           [](float pixel) { return nearest<Bf16>(pixel); });
    ConvInput<float> the_same{shape, std::vector<float>(shape.input_size()), in.weight, in.bias};
    std::ranges::transform(narrow.images, the_same.images.begin(), [](Bf16 pixel) { return widen(pixel); });
    const ConvOutput<float> unrounded = computed(GetParam(), the_same);
    std::vector<Bf16> rounded(unrounded.output.size());
    std::ranges::transform(unrounded.output, rounded.begin(), [](float x) { return nearest<Bf16>(x); });
    const ConvOutput<Bf16> of_bf16 = computed(GetParam(), narrow);
    EXPECT_TRUE(same_bits(of_bf16.output, rounded));
    EXPECT_TRUE(same_bits(of_bf16.winners, unrounded.winners));
  }
}

TEST_P(ConvReluPoolContract, HandsNanOnToTheWindowsThatReadIt) {
  const ConvPoolShape shape{1, 2, 8, 8, 3, 3, 1};
  auto in = dyadic_input<float>(shape);
  in.images[8 * 8 + 2 * 8 + 5] = std::numeric_limits<float>::quiet_NaN();  // channel 1, row 2, column 5
  const ConvOutput<float> got = computed(GetParam(), in);
  const PoolShape pool = shape.pool();
  for_each_output(pool, [&](std::size_t n, std::size_t o, std::size_t y, std::size_t x) {
    // Elements 1 … 3 of the rows and 4 … 6 of the columns read it.
    const bool reads = y <= 1 && (x == 2 || x == 3);
    const std::size_t at = output_place(pool, n, o, y, x);
    EXPECT_EQ(std::isnan(got.output[at]), reads) << y << ", " << x;
    EXPECT_TRUE(!reads || got.winners[at] < no_winner);
  });
}

TEST_P(ConvReluPoolContract, GivesTheGradientOfTheParameters) {
  for_each_type([]<typename Number>(Number) {
    for_each_shape([](const ConvPoolShape& shape) {
      const auto in = dyadic_input<Number>(shape);  // whose sums are exact in fp32
      const auto gradient = with_winners(shape, dyadic_numbers<Number>(shape.output_size(), 7));
      const auto want = expected_gradient(in, gradient);
      const auto got = computed_gradient(GetParam(), in, gradient);
      EXPECT_TRUE(same_bits(got.weight, want.weight)) << "weights";
      EXPECT_TRUE(same_bits(got.bias, want.bias)) << "biases";
    });
  });
}

TEST_P(ConvReluPoolContract, RoundsGradientsAsSumsOfPartsInFp32) {
  const ConvPoolShape shape{1100, 2, 6, 6, 3, 3, 1};
  const auto in = random_input<float>(shape);
  const auto gradient = with_winners(shape, random_numbers<float>(shape.output_size(), 7));
  const auto want = expected_gradient(in, gradient);
  const auto got = computed_gradient(GetParam(), in, gradient);
  // Of 512 parts each has up to three images with 9 windows of numbers less than 1: at most 27 additions of
  // half of 2^-23 of less than 27.
  const double tolerance = 512 * 27 * std::exp2(-24) * 27;
  for (std::size_t i = 0; i < want.weight.size(); ++i) {
    ASSERT_NEAR(got.weight[i], want.weight[i], tolerance) << i;
  }
  for (std::size_t i = 0; i < want.bias.size(); ++i) ASSERT_NEAR(got.bias[i], want.bias[i], tolerance) << i;
  const auto again = computed_gradient(GetParam(), in, gradient);
  EXPECT_TRUE(same_bits(again.weight, got.weight));
  EXPECT_TRUE(same_bits(again.bias, got.bias));
}

TEST_P(ConvReluPoolContract, TakesMoreThanADeviceHoldsAtOnce) {
  // 5,000 blocks each way, with several groups of output channels.
  const ConvPoolShape shape{1000, 1, 3, 2, 36, 3, 1};
  const auto in = dyadic_input<float>(shape);
  EXPECT_TRUE(same_bits(computed(GetParam(), in).output, expected(in).output));
  const auto gradient = with_winners(shape, dyadic_numbers<float>(shape.output_size(), 7));
  EXPECT_TRUE(
      same_bits(computed_gradient(GetParam(), in, gradient).weight, expected_gradient(in, gradient).weight));
}

TEST_P(ConvReluPoolContract, DoesNotDependOnAlignment) {
  for_each_type([]<typename Number>(Number) {
    ConvPoolShape shape{3, 3, 10, 10, 16, 3, 1};
    shape.output_format = MemoryFormat::channels_last;  // whose channels are stored together if aligned
    const auto in = random_input<Number>(shape);
    const auto gradient = with_winners(shape, random_numbers<Number>(shape.output_size(), 7));
    const auto want = computed(GetParam(), in);
    const auto want_gradient = computed_gradient(GetParam(), in, gradient);
    for (const std::size_t offset : {1, 2, 4, 8}) {
      SCOPED_TRACE(::testing::Message() << "offset " << offset);
      const auto got = computed(GetParam(), in, offset);
      EXPECT_TRUE(same_bits(got.output, want.output));
      EXPECT_TRUE(same_bits(got.winners, want.winners));
      const auto got_gradient = computed_gradient(GetParam(), in, gradient, offset);
      EXPECT_TRUE(same_bits(got_gradient.weight, want_gradient.weight));
      EXPECT_TRUE(same_bits(got_gradient.bias, want_gradient.bias));
    }
  });
}

INSTANTIATE_TEST_SUITE_P(Backends, ConvReluPoolContract, every_backend, ::testing::PrintToStringParamName());

TEST(ConvPoolShape, IsSupportedWhereABlockOfAGpuCanHoldTwoRows) {
  EXPECT_TRUE((ConvPoolShape{1, 3, 32, 32, 32, 3, 1}.is_supported()));
  EXPECT_TRUE((ConvPoolShape{1, 4, 224, 250, 8, 5, 2}.is_supported()));
  EXPECT_FALSE((ConvPoolShape{1, 4, 224, 251, 8, 5, 2}.is_supported()));
  EXPECT_TRUE((ConvPoolShape{1, 1, 8, 1530, 8, 3, 2}.is_supported()));
  EXPECT_FALSE((ConvPoolShape{1, 1, 8, 1531, 8, 3, 2}.is_supported()));
  EXPECT_FALSE((ConvPoolShape{1, 1, 8, ~std::size_t{0} - 3, 8, 3, 2}.is_supported()));
  EXPECT_FALSE((ConvPoolShape{1, 1, std::size_t{1} << 31, 8, 8, 3, 2}.is_supported()));
  EXPECT_FALSE((ConvPoolShape{1, 5, 8, 8, 8, 3, 1}.is_supported())) << "too many channels";
  EXPECT_FALSE((ConvPoolShape{1, 0, 8, 8, 8, 3, 1}.is_supported())) << "no channels";
  EXPECT_FALSE((ConvPoolShape{1, 3, 8, 8, 8, 4, 1}.is_supported())) << "an even kernel";
  EXPECT_FALSE((ConvPoolShape{1, 3, 8, 8, 8, 7, 1}.is_supported())) << "a large kernel";
  EXPECT_FALSE((ConvPoolShape{1, 3, 8, 8, 8, 3, 3}.is_supported())) << "outputs that read padding alone";
}

TEST(ConvReluPool, RefusesWrongArguments) {
  using Operation = ConvReluPool<float>;
  float v = 0;
  const ConvPoolShape shape{1, 1, 2, 2, 1, 3, 1};
  expect_refused<Operation>({shape, nullptr, &v, &v, &v, nullptr}, "input is null");
  expect_refused<Operation>({shape, &v, nullptr, &v, &v, nullptr}, "weight is null");
  expect_refused<Operation>({shape, &v, &v, nullptr, &v, nullptr}, "bias is null");
  expect_refused<Operation>({shape, &v, &v, &v, nullptr, nullptr}, "output is null");
  expect_refused<Operation>({{1, 5, 2, 2, 1, 3, 1}, &v, &v, &v, &v, nullptr}, "not supported");
  const ConvPoolShape large{std::size_t{1} << 30, 1, 4, 4, 1, 3, 1};
  expect_refused<Operation>({large, &v, &v, &v, &v, nullptr}, "too many windows");
}

TEST(ConvReluPoolBackward, RefusesWrongArguments) {
  using Operation = ConvReluPoolBackward<float>;
  float v = 0;
  std::uint8_t winner = 0;
  const ConvPoolShape shape{1, 1, 2, 2, 1, 3, 1};
  expect_refused<Operation>({shape, nullptr, &v, &winner, &v}, "input is null");
  expect_refused<Operation>({shape, &v, nullptr, &winner, &v}, "output_gradient is null");
  expect_refused<Operation>({shape, &v, &v, nullptr, &v}, "winners is null");
  expect_refused<Operation>({shape, &v, &v, &winner, nullptr}, "partial_sums is null");
  expect_refused<Operation>({{1, 1, 8, 8, 1, 4, 1}, &v, &v, &winner, &v}, "not supported");
  const ConvPoolShape large{std::size_t{1} << 30, 1, 4, 4, 1, 3, 1};
  expect_refused<Operation>({large, &v, &v, &winner, &v}, "too many windows");
}

TEST(ConvReluPool, CountsBytesAndFlops) {
  // 2 × 2 windows of 5 channels of 2 images, each with 4 sums of 27 products.
  ConvReluPool<Bf16> forward;
  forward.shape = {2, 3, 4, 4, 5, 3, 1};
  EXPECT_EQ(forward.bytes(), 96 * 2 + 40 * 2 + (135 + 5) * 4);
  EXPECT_EQ(forward.flops(), 40 * (4 * 54 + 8));
  std::uint8_t winner = 0;
  forward.winners = &winner;
  EXPECT_EQ(forward.bytes(), 96 * 2 + 40 * 3 + (135 + 5) * 4);
  ConvReluPoolBackward<Bf16> backward;
  backward.shape = forward.shape;
  EXPECT_EQ(backward.bytes(), 96 * 2 + 40 * 3 + 2 * (135 + 5) * 4) << "an image is a part";
  EXPECT_EQ(backward.flops(), 40 * 55);
}

}  // namespace
}  // namespace tardigrad
