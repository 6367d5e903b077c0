#include "models/layers/pool.h"

#include "models/layers/relu.h"
#include "tests/models/image_formats.h"
#include "tests/models/layer_checks.h"

namespace tardigrad::models {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;

TEST(MaxPool, TakesTheFirstMaximumAndLeavesOddEdgesOut) {
  const std::vector<double> input{-1, -2, 7, 7, 100,  //
                                  -3, -4, 7, 6, 100,  //
                                  5,  5,  0, 1, 100,  //
                                  5,  5,  2, 3, 100,  //
                                  50, 50, 9, 9, 100};
  const auto pass = testing::run_plain<float>(MaxPool{1, 5, 5}, 1, {}, input, {1, 2, 3, 4});
  EXPECT_THAT(pass.output, ElementsAre(-1, 7, 5, 3));
  EXPECT_THAT(pass.input_gradient, ElementsAreArray({1, 0, 2, 0, 0,  //
                                                     0, 0, 0, 0, 0,  //
                                                     3, 0, 0, 0, 0,  //
                                                     0, 0, 0, 4, 0,  //
                                                     0, 0, 0, 0, 0}));
}

TEST(MaxPool, NanWins) {
  for (std::size_t position = 0; position < 4; ++position) {
    std::vector<float> input{1, 2, 3, 4};
    input[position] = std::numeric_limits<float>::quiet_NaN();
    float output = 0;
    plain::forward<float>(MaxPool{1, 2, 2}, 1, nullptr, input.data(), &output);
    EXPECT_TRUE(std::isnan(output)) << position;
  }
}

TEST(MaxPool, GradientMatchesDifferences) {
  testing::expect_gradients_match_differences(MaxPool{3, 7, 7}, 2, {}, testing::apart(294, 2));
  testing::expect_gradients_match_differences(MaxPool{2, 4, 6}, 1, {}, testing::apart(48, 3));
}

/// Windows that overlap, that leave edges out, and that reach over them.
const std::vector<PoolWindows> windows{{3, 7, 6, 2, 2, 0}, {2, 7, 8, 3, 2, 1}, {4, 5, 5, 3, 1, 1},
                                       {1, 6, 9, 2, 4, 1}, {5, 4, 4, 1, 1, 0}, {2, 5, 5, 5, 5, 0}};

TEST(Pools, GradientsMatchDifferencesForAnyWindows) {
  for (const PoolWindows& of : windows) {
    testing::expect_gradients_match_differences(MaxPool{of}, 2, {}, testing::apart(2 * of.input_size(), 1));
    testing::expect_gradients_match_differences(AvgPool{of}, 2, {}, testing::noise(2 * of.input_size(), 2));
  }
  testing::expect_gradients_match_differences(GlobalAvgPool{3, 20}, 2, {}, testing::noise(120, 3));
}

TEST(AvgPool, CountsPaddingAsZeros) {
  const auto pass = testing::run_plain<double>(AvgPool{{1, 2, 2, 2, 1, 1}}, 1, {}, {4, 8, 12, 16},
                                               {1, 0, 0, 0, 0, 0, 0, 0, 0});
  EXPECT_THAT(pass.output, ElementsAre(1, 3, 2, 4, 10, 6, 3, 7, 4));
  EXPECT_THAT(pass.input_gradient, ElementsAre(0.25, 0, 0, 0));
}

/// Expects a layer for channels last to give what the plain one gives in float.
template <typename Pool>
void expect_channels_last(const Pool& pool, const ImageLayout& input, const ImageLayout& output) {
  constexpr int batch = 2;
  const auto x = testing::apart(pool.input_size() * batch, 4);
  const auto dy = testing::noise(pool.output_size() * batch, 5);
  const auto expected = testing::run_plain<double>(pool, batch, {}, x, dy);
  const auto pass = testing::run_image_layer(*channels_last::make_layer(pool, batch), input, output, batch,
                                             {}, testing::to_float(x), testing::to_float(dy));
  // A few sums of at most 25 floats.
  EXPECT_LT(testing::relative_error(pass.output, expected.output), 1e-6);
  EXPECT_LT(testing::relative_error(pass.input_gradient, expected.input_gradient), 1e-6);
}

TEST(Pools, AreTheSameWithChannelsLast) {
  for (const PoolWindows& of : windows) {
    const ImageLayout input{of.channels, of.height, of.width, of.channels};
    const ImageLayout output{of.channels, of.out_height(), of.out_width(), of.channels};
    expect_channels_last(MaxPool{of}, input, output);
    expect_channels_last(AvgPool{of}, input, output);
    expect_channels_last(GlobalAvgPool{of.channels, of.height * of.width}, input, {of.channels, 1, 1, 1});
  }
}

TEST(Pools, NanWinsWithChannelsLast) {
  const MaxPool pool{{1, 2, 2}};
  for (std::size_t position = 0; position < 4; ++position) {
    AlignedVector<float> input{1, 2, 3, 4};
    input[position] = std::numeric_limits<float>::quiet_NaN();
    float output = 0;
    channels_last::make_layer(pool, 1)->forward(nullptr, input.data(), &output);
    EXPECT_TRUE(std::isnan(output)) << position;
  }
}

struct MaxPoolCase {
  int channels, height, width;
  int input_block, output_block;
};

void PrintTo(const MaxPoolCase& c, std::ostream* out) {
  *out << c.channels << "x" << c.height << "x" << c.width << ", blocks " << c.input_block << " -> "
       << c.output_block;
}

class ReluMaxPool : public ::testing::TestWithParam<MaxPoolCase> {};

TEST_P(ReluMaxPool, IsReluThenMaxPoolInEveryFormat) {
  const auto& [channels, height, width, input_block, output_block] = GetParam();
  constexpr int batch = 3;
  const ImageLayout input{channels, height, width, input_block};
  const ImageLayout output{channels, height / 2, width / 2, output_block};
  const MaxPool pool{channels, height, width};
  const Relu relu{static_cast<std::size_t>(channels * height * width)};

  // Whole numbers from -2 to 2: windows with ties, and with nothing positive, occur often. One NaN.
  auto x = testing::noise(relu.size * batch, 6);
  for (double& value : x) value = std::clamp(std::round(value), -2.0, 2.0);
  x[5] = std::numeric_limits<double>::quiet_NaN();
  const auto dy = testing::noise(pool.output_size() * batch, 7);

  AlignedVector<float> hidden(x.size());
  AlignedVector<float> expected_output(dy.size());
  plain::forward<float>(relu, batch, nullptr, testing::to_float(x).data(), hidden.data());
  plain::forward<float>(pool, batch, nullptr, hidden.data(), expected_output.data());
  AlignedVector<float> expected_gradient(x.size());
  plain::backward<float>(pool, batch, nullptr, hidden.data(), testing::to_float(dy).data(),
                         expected_gradient.data(), nullptr);
  plain::backward<float>(relu, batch, nullptr, testing::to_float(x).data(), expected_gradient.data(),
                         expected_gradient.data(), nullptr);

  const auto layer = make_relu_max_pool(input, output, batch);
  const auto pass =
      testing::run_image_layer(*layer, input, output, batch, {}, testing::to_float(x), testing::to_float(dy));
  EXPECT_THAT(pass.output, testing::SameBits(expected_output));
  EXPECT_THAT(pass.input_gradient, testing::SameBits(expected_gradient));
}

INSTANTIATE_TEST_SUITE_P(Formats, ReluMaxPool,
                         ::testing::Values(MaxPoolCase{32, 32, 32, 16, 32}, MaxPoolCase{64, 7, 7, 64, 1},
                                           MaxPoolCase{32, 6, 5, 8, 32}, MaxPoolCase{20, 5, 6, 16, 20},
                                           MaxPoolCase{20, 5, 4, 20, 1}, MaxPoolCase{3, 4, 4, 1, 3},
                                           MaxPoolCase{1, 2, 2, 1, 1}, MaxPoolCase{48, 3, 3, 16, 16}));

}  // namespace
}  // namespace tardigrad::models
