#include "models/layers/relu.h"

#include "tests/models/layer_checks.h"

namespace tardigrad::models {
namespace {

using ::testing::ElementsAre;

TEST(Relu, KeepsPositivesAndHasNoSlopeAtZero) {
  const auto pass = testing::run_plain<float>(Relu{5}, 1, {}, {-2, -0.0, 0, 0.5, 3}, {1, 2, 3, 4, 5});
  EXPECT_THAT(pass.output, ElementsAre(0, 0, 0, 0.5, 3));
  EXPECT_THAT(pass.input_gradient, ElementsAre(0, 0, 0, 4, 5));
}

TEST(Relu, NanStaysNan) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  float output = 0;
  plain::forward<float>(Relu{1}, 1, nullptr, &nan, &output);
  EXPECT_TRUE(std::isnan(output));
}

TEST(Relu, GradientMatchesDifferences) {
  testing::expect_gradients_match_differences(Relu{35}, 3, {}, testing::apart(105, 1));
}

}  // namespace
}  // namespace tardigrad::models
