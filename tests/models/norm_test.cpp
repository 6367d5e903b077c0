#include "models/classifier.h"
#include "models/layers/group_norm.h"
#include "models/layers/layer_norm.h"
#include "models/layers/relu.h"
#include "tests/models/image_formats.h"
#include "tests/models/layer_checks.h"

namespace tardigrad::models {
namespace {

using ::testing::DoubleNear;
using ::testing::Pointwise;

/// Weights, then bias, from the beginning of the parameters.
GroupNorm group_norm(int channels, int pixels, int groups) {
  return {channels, pixels, groups, 0, static_cast<std::size_t>(channels)};
}

LayerNorm layer_norm(int size) { return {size, 0, static_cast<std::size_t>(size)}; }

TEST(GroupNorm, NormalisesEachGroupOfEachExample) {
  // Two channels of two pixels: a group of 1 3 5 7 has mean 4 and variance 5.
  GroupNorm norm = group_norm(2, 2, 1);
  norm.epsilon = 0;
  const std::vector<double> parameters{1, 10, 0, 100};
  const auto pass = testing::run_plain<double>(norm, 1, parameters, {1, 3, 5, 7}, {1, 0, 0, 0});
  const double unit = 1 / std::sqrt(5.0);
  EXPECT_THAT(pass.output,
              Pointwise(DoubleNear(1e-13), {-3 * unit, -unit, 100 + 10 * unit, 100 + 30 * unit}));
  EXPECT_THAT(pass.gradient, Pointwise(DoubleNear(1e-13), {-3 * unit, 0.0, 1.0, 0.0}));
}

TEST(GroupNorm, GradientMatchesDifferences) {
  for (const auto& norm : {group_norm(6, 4, 3), group_norm(4, 1, 2), group_norm(5, 3, 1)}) {
    const auto size = norm.output_size();
    testing::expect_gradients_match_differences(
        norm, 2, testing::noise(2 * static_cast<std::size_t>(norm.channels), 1), testing::noise(2 * size, 2),
        1e-5);
  }
}

TEST(LayerNorm, GradientMatchesDifferences) {
  testing::expect_gradients_match_differences(layer_norm(13), 3, testing::noise(26, 1), testing::noise(39, 2),
                                              1e-5);
}

// Sums of up to a thousand floats, each rounded by 6e-8, of which few cancel.
constexpr double norm_tolerance = 3e-6;

struct GroupNormCase {
  int channels, side, groups, batch;
  bool relu;
};

void PrintTo(const GroupNormCase& c, std::ostream* out) {
  *out << c.channels << " channels in " << c.groups << " groups on " << c.side << "x" << c.side
       << (c.relu ? ", with ReLU" : "");
}

class GroupNormChannelsLast : public ::testing::TestWithParam<GroupNormCase> {};

TEST_P(GroupNormChannelsLast, AgreesWithDouble) {
  const auto& [channels, side, groups, batch, relu] = GetParam();
  const GroupNorm norm = group_norm(channels, side * side, groups);
  const auto size = norm.output_size() * static_cast<std::size_t>(batch);
  const auto parameters = testing::noise(2 * static_cast<std::size_t>(channels), 1);
  auto input = testing::noise(size, 2);
  for (double& value : input) value += 3;  // means that are none of the usual 0
  auto output_gradient = testing::noise(size, 3);
  const auto given_gradient = testing::to_float(output_gradient);
  auto exact = testing::run_plain<double>(norm, batch, parameters, input, output_gradient);
  if (relu) {
    const Relu behind{norm.output_size()};
    const std::vector<double> normalised(exact.output.begin(), exact.output.end());
    const auto pass = testing::run_plain<double>(behind, batch, {}, normalised, output_gradient);
    output_gradient.assign(pass.input_gradient.begin(), pass.input_gradient.end());
    exact = testing::run_plain<double>(norm, batch, parameters, input, output_gradient);
    exact.output = pass.output;
  }
  const ImageLayout layout{channels, side, side, channels};
  const auto layer = channels_last::make_layer(norm, batch, relu);
  const auto pass = testing::run_image_layer(*layer, layout, layout, batch, testing::to_float(parameters),
                                             testing::to_float(input), given_gradient);
  EXPECT_LT(testing::relative_error(pass.output, exact.output), norm_tolerance);
  EXPECT_LT(testing::relative_error(pass.input_gradient, exact.input_gradient), norm_tolerance);
  EXPECT_LT(testing::relative_error(pass.gradient, exact.gradient), norm_tolerance);
}

INSTANTIATE_TEST_SUITE_P(Sizes, GroupNormChannelsLast,
                         ::testing::Values(GroupNormCase{32, 8, 8, 3, false},
                                           GroupNormCase{32, 8, 8, 3, true}, GroupNormCase{10, 5, 5, 2, true},
                                           GroupNormCase{6, 32, 1, 1, false},
                                           GroupNormCase{24, 1, 4, 5, true}));

#if TARDIGRAD_HAS_ONEDNN
TEST(LayerNorm, OnednnAgreesWithDouble) {
  for (const int size : {1, 13, 700}) {
    const LayerNorm norm = layer_norm(size);
    const auto parameters = testing::noise(2 * norm.output_size(), 1);
    const auto input = testing::noise(3 * norm.output_size(), 2);
    const auto output_gradient = testing::noise(3 * norm.output_size(), 3);
    const auto exact = testing::run_plain<double>(norm, 3, parameters, input, output_gradient);
    const auto pass = testing::run_layer(*onednn::make_layer(norm, 3, true), testing::to_float(parameters),
                                         testing::to_float(input), testing::to_float(output_gradient));
    EXPECT_LT(testing::relative_error(pass.output, exact.output), norm_tolerance) << size;
    EXPECT_LT(testing::relative_error(pass.gradient, exact.gradient), norm_tolerance) << size;
    if (size == 1) continue;  // the gradient is 0
    EXPECT_LT(testing::relative_error(pass.input_gradient, exact.input_gradient), norm_tolerance) << size;
  }
}
#endif

}  // namespace
}  // namespace tardigrad::models
