#include "models/layers/linear.h"

#include "tests/models/layer_checks.h"

namespace tardigrad::models {
namespace {

using ::testing::ElementsAre;

/// Weights, then bias, from the beginning of the parameters.
Linear packed(int inputs, int outputs) {
  return {inputs, outputs, 0, static_cast<std::size_t>(inputs) * static_cast<std::size_t>(outputs)};
}

std::size_t dimension(const Linear& linear) { return linear.bias_offset + linear.output_size(); }

TEST(Linear, SmallCaseByHand) {
  // W = [1 2 3; 4 5 6], b = [10, 20], x = [1 0 -1], dy = [1, 2]
  const auto pass =
      testing::run_plain<float>(packed(3, 2), 1, {1, 2, 3, 4, 5, 6, 10, 20}, {1, 0, -1}, {1, 2});
  EXPECT_THAT(pass.output, ElementsAre(8, 18));
  EXPECT_THAT(pass.input_gradient, ElementsAre(9, 12, 15));
  EXPECT_THAT(pass.gradient, ElementsAre(1, 0, -1, 2, 0, -2, 1, 2));
}

TEST(Linear, TouchesOnlyItsOwnTensors) {
  const Linear linear{2, 1, 1, 4};  // parameters: other, w, w, other, b, other
  const std::vector<float> parameters{9, 1, 2, 9, 3, 9};
  const float other = 12345;
  std::vector<float> gradient(6, other);
  const std::vector<float> input{5, 7};
  const float output_gradient = 2;
  plain::backward<float>(linear, 1, parameters.data(), input.data(), &output_gradient, nullptr,
                         gradient.data());
  EXPECT_THAT(gradient, ElementsAre(other, 10, 14, other, 2, other));
}

TEST(Linear, GradientMatchesDifferences) {
  for (const auto& [linear, batch] :
       {std::pair{packed(1, 1), 1}, std::pair{packed(3, 5), 1}, std::pair{packed(16, 4), 4},
        std::pair{packed(37, 10), 3}, std::pair{packed(50, 7), 9}}) {
    testing::expect_gradients_match_differences(
        linear, batch, testing::noise(dimension(linear), 1),
        testing::noise(static_cast<std::size_t>(linear.inputs * batch), 2));
  }
}

struct LinearCase {
  int inputs, outputs, batch;
};

void PrintTo(const LinearCase& c, std::ostream* out) {
  *out << c.inputs << "->" << c.outputs << " batch " << c.batch;
}

class LinearSizes : public ::testing::TestWithParam<LinearCase> {
 protected:
  Linear linear_ = packed(GetParam().inputs, GetParam().outputs);
  int batch_ = GetParam().batch;
  std::vector<double> parameters_ = testing::noise(dimension(linear_), 1);
  std::vector<double> input_ = testing::noise(static_cast<std::size_t>(linear_.inputs * batch_), 2);
  std::vector<double> output_gradient_ =
      testing::noise(linear_.output_size() * static_cast<std::size_t>(batch_), 3);
};

// Sums of at most 2048 products of float32: rounding of 6e-8 · √2048 = 3e-6 at worst, and usually far less.
constexpr double linear_tolerance = 3e-6;

TEST_P(LinearSizes, FloatAgreesWithDouble) {
  const auto exact = testing::run_plain<double>(linear_, batch_, parameters_, input_, output_gradient_);
  const auto pass = testing::run_plain<float>(linear_, batch_, parameters_, input_, output_gradient_);
  EXPECT_LT(testing::relative_error(pass.output, exact.output), linear_tolerance);
  EXPECT_LT(testing::relative_error(pass.input_gradient, exact.input_gradient), linear_tolerance);
  EXPECT_LT(testing::relative_error(pass.gradient, exact.gradient), linear_tolerance);
}

#if TARDIGRAD_HAS_ONEDNN
TEST_P(LinearSizes, OnednnAgreesWithDouble) {
  const auto exact = testing::run_plain<double>(linear_, batch_, parameters_, input_, output_gradient_);
  const auto pass = testing::run_layer(*onednn::make_layer(linear_, batch_), testing::to_float(parameters_),
                                       testing::to_float(input_), testing::to_float(output_gradient_));
  EXPECT_LT(testing::relative_error(pass.output, exact.output), linear_tolerance);
  EXPECT_LT(testing::relative_error(pass.input_gradient, exact.input_gradient), linear_tolerance);
  EXPECT_LT(testing::relative_error(pass.gradient, exact.gradient), linear_tolerance);
}
#endif

INSTANTIATE_TEST_SUITE_P(Sizes, LinearSizes,
                         ::testing::Values(LinearCase{1, 1, 1}, LinearCase{3, 5, 1}, LinearCase{16, 4, 4},
                                           LinearCase{37, 10, 3}, LinearCase{50, 7, 9},
                                           LinearCase{784, 128, 4}, LinearCase{2048, 256, 32}));

}  // namespace
}  // namespace tardigrad::models
