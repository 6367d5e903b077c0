#include "models/layers/max_pool.h"

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
  const auto pass = testing::run_plain<float>(MaxPool2x2{1, 5, 5}, 1, {}, input, {1, 2, 3, 4});
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
    plain::forward<float>(MaxPool2x2{1, 2, 2}, 1, nullptr, input.data(), &output);
    EXPECT_TRUE(std::isnan(output)) << position;
  }
}

TEST(MaxPool, GradientMatchesDifferences) {
  testing::expect_gradients_match_differences(MaxPool2x2{3, 7, 7}, 2, {}, testing::apart(294, 2));
  testing::expect_gradients_match_differences(MaxPool2x2{2, 4, 6}, 1, {}, testing::apart(48, 3));
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
  const MaxPool2x2 pool{channels, height, width};
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
