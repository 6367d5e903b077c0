#include "models/layers/convolution.h"

#include "tests/models/image_formats.h"
#include "tests/models/layer_checks.h"

namespace tardigrad::models {
namespace {

using ::testing::ElementsAreArray;

/// Weights, then bias, from the beginning of the parameters.
Convolution packed(int in_channels, int out_channels, int height, int width) {
  return {
      in_channels, out_channels, height, width, 0, static_cast<std::size_t>(out_channels * in_channels * 9)};
}

std::size_t dimension(const Convolution& conv) {
  return *conv.bias_offset + static_cast<std::size_t>(conv.out_channels);
}

TEST(Convolution, SmallCaseByHand) {
  // The kernel's weights 1 … 9 meet one pixel of value 1 in the middle of a 3×3 image: each output pixel
  // shows the weight that looked at it, mirrored. With the bias 100, and a second channel that is all zero.
  std::vector<double> parameters{1, 2, 3, 4, 5, 6, 7, 8, 9};
  parameters.resize(18, 1000);
  parameters.push_back(100);
  std::vector<double> input(18);
  input[4] = 1;
  std::vector<double> output_gradient(9);
  output_gradient[0] = 1;  // The top left output looks at its own pixel (weight 5), right (6), below (8, 9).
  const auto pass = testing::run_plain<float>(packed(2, 1, 3, 3), 1, parameters, input, output_gradient);
  EXPECT_THAT(pass.output, ElementsAreArray({109, 108, 107, 106, 105, 104, 103, 102, 101}));
  EXPECT_THAT(pass.input_gradient, ElementsAreArray({5, 6, 0, 8, 9, 0, 0, 0, 0,  //
                                                     1000, 1000, 0, 1000, 1000, 0, 0, 0, 0}));
  EXPECT_THAT(pass.gradient, ElementsAreArray({0, 0, 0, 0, 0, 0, 0, 0, 1,  //
                                               0, 0, 0, 0, 0, 0, 0, 0, 0, 1}));
}

TEST(Convolution, GradientMatchesDifferences) {
  for (const auto& [conv, batch] : {std::pair{packed(2, 3, 5, 4), 2}, std::pair{packed(1, 1, 1, 1), 1},
                                    std::pair{packed(3, 2, 1, 3), 1}, std::pair{packed(1, 5, 7, 7), 1}}) {
    const auto input = static_cast<std::size_t>(batch * conv.in_channels * conv.height * conv.width);
    testing::expect_gradients_match_differences(conv, batch, testing::noise(dimension(conv), 1),
                                                testing::noise(input, 2));
  }
}

/// Of any kernel, stride, padding and groups, without bias where `bias` is false.
Convolution convolution(int in_channels, int out_channels, int height, int width, int kernel, int stride,
                        int padding, int groups, bool bias) {
  Convolution conv{in_channels, out_channels, height, width, 0, {}, kernel, stride, padding, groups};
  if (bias) conv.bias_offset = conv.weight_size();
  return conv;
}

const std::vector<Convolution> kinds{
    convolution(2, 3, 5, 4, 1, 1, 0, 1, false),  convolution(2, 3, 6, 5, 3, 2, 1, 1, false),
    convolution(3, 2, 7, 8, 2, 2, 0, 1, true),   convolution(4, 6, 5, 5, 3, 1, 1, 2, true),
    convolution(4, 4, 6, 6, 5, 2, 2, 4, false),  convolution(1, 2, 9, 7, 7, 3, 3, 1, true),
    convolution(2, 2, 2, 3, 3, 2, 2, 1, true),   convolution(16, 32, 8, 8, 3, 2, 1, 1, false),
    convolution(16, 16, 7, 7, 3, 1, 1, 16, true)};

std::size_t parameters_of(const Convolution& conv) {
  return conv.weight_size() + (conv.bias_offset ? static_cast<std::size_t>(conv.out_channels) : 0);
}

TEST(Convolution, GradientMatchesDifferencesForEveryKind) {
  for (const Convolution& conv : kinds) {
    if (conv.input_size() > 500) continue;  // they take long, and differ in size alone
    testing::expect_gradients_match_differences(conv, 2, testing::noise(parameters_of(conv), 1),
                                                testing::noise(2 * conv.input_size(), 2));
  }
}

#if TARDIGRAD_HAS_ONEDNN
TEST(Convolution, OnednnAgreesWithDoubleForEveryKind) {
  for (const Convolution& conv : kinds) {
    const auto parameters = testing::noise(parameters_of(conv), 1);
    const auto input = testing::noise(2 * conv.input_size(), 2);
    const auto output_gradient = testing::noise(2 * conv.output_size(), 3);
    const auto exact = testing::run_plain<double>(conv, 2, parameters, input, output_gradient);
    const ImageLayout layout{conv.in_channels, conv.height, conv.width, conv.in_channels};
    const auto [layer, output] = onednn::make_layer(conv, 2, layout, false);
    const auto pass = testing::run_image_layer(*layer, layout, output, 2, testing::to_float(parameters),
                                               testing::to_float(input), testing::to_float(output_gradient));
    EXPECT_LT(testing::relative_error(pass.output, exact.output), 4e-6);  // as conv_tolerance below
    EXPECT_LT(testing::relative_error(pass.input_gradient, exact.input_gradient), 4e-6);
    EXPECT_LT(testing::relative_error(pass.gradient, exact.gradient), 4e-6);
  }
}
#endif

struct ConvCase {
  int in_channels, out_channels, height, width, batch;
  bool images;  ///< The first layer of a network: reads NCHW, no gradient with respect to its input.
};

void PrintTo(const ConvCase& c, std::ostream* out) {
  *out << c.in_channels << "->" << c.out_channels << " on " << c.height << "x" << c.width << ", batch "
       << c.batch << (c.images ? ", images" : "");
}

class ConvolutionSizes : public ::testing::TestWithParam<ConvCase> {
 protected:
  Convolution conv_ =
      packed(GetParam().in_channels, GetParam().out_channels, GetParam().height, GetParam().width);
  int batch_ = GetParam().batch;
  std::size_t pixels_ = static_cast<std::size_t>(conv_.height * conv_.width * batch_);
  std::vector<double> parameters_ = testing::noise(dimension(conv_), 1);
  std::vector<double> input_ = testing::noise(pixels_ * static_cast<std::size_t>(conv_.in_channels), 2);
  std::vector<double> output_gradient_ =
      testing::noise(pixels_ * static_cast<std::size_t>(conv_.out_channels), 3);
  testing::Pass<double> exact_ =
      testing::run_plain<double>(conv_, batch_, parameters_, input_, output_gradient_);
};

// The longest sums, of a weight's gradient, have up to 4096 products of float32: rounding of 6e-8 · √4096 =
// 4e-6 at worst, and usually far less.
constexpr double conv_tolerance = 4e-6;

TEST_P(ConvolutionSizes, FloatAgreesWithDouble) {
  const auto pass = testing::run_plain<float>(conv_, batch_, parameters_, input_, output_gradient_);
  EXPECT_LT(testing::relative_error(pass.output, exact_.output), conv_tolerance);
  EXPECT_LT(testing::relative_error(pass.input_gradient, exact_.input_gradient), conv_tolerance);
  EXPECT_LT(testing::relative_error(pass.gradient, exact_.gradient), conv_tolerance);
}

#if TARDIGRAD_HAS_ONEDNN
TEST_P(ConvolutionSizes, OnednnAgreesWithDouble) {
  const ImageLayout input{conv_.in_channels, conv_.height, conv_.width,
                          GetParam().images ? 1 : conv_.in_channels};
  const auto [layer, output] = onednn::make_layer(conv_, batch_, input, GetParam().images);
  const auto parameters = testing::to_float(parameters_);
  const auto x = testing::to_layout(input, batch_, testing::to_float(input_));
  const auto dy = testing::to_layout(output, batch_, testing::to_float(output_gradient_));
  if (GetParam().images) {
    auto y = testing::nans<float>(layer->output_size());
    auto gradient = testing::nans<float>(parameters.size());
    layer->forward(parameters.data(), x.data(), y.data());
    layer->backward(parameters.data(), x.data(), dy.data(), nullptr, gradient.data());
    EXPECT_LT(testing::relative_error(testing::from_layout(output, batch_, y), exact_.output),
              conv_tolerance);
    EXPECT_LT(testing::relative_error(gradient, exact_.gradient), conv_tolerance);
    return;
  }
  const auto pass = testing::run_image_layer(*layer, input, output, batch_, parameters,
                                             testing::to_float(input_), testing::to_float(output_gradient_));
  EXPECT_LT(testing::relative_error(pass.output, exact_.output), conv_tolerance);
  EXPECT_LT(testing::relative_error(pass.input_gradient, exact_.input_gradient), conv_tolerance);
  EXPECT_LT(testing::relative_error(pass.gradient, exact_.gradient), conv_tolerance);
}
#endif

INSTANTIATE_TEST_SUITE_P(Sizes, ConvolutionSizes,
                         ::testing::Values(ConvCase{3, 32, 32, 32, 4, true}, ConvCase{1, 32, 28, 28, 2, true},
                                           ConvCase{3, 20, 9, 11, 1, true},
                                           ConvCase{32, 64, 16, 16, 2, false},
                                           ConvCase{64, 128, 7, 7, 3, false},
                                           ConvCase{20, 24, 7, 7, 1, false}, ConvCase{5, 7, 5, 3, 2, false}));

}  // namespace
}  // namespace tardigrad::models
