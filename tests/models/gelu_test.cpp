#include "models/layers/gelu.h"

#include "models/classifier.h"
#include "tests/models/layer_checks.h"

namespace tardigrad::models {
namespace {

TEST(Gelu, IsXTimesTheNormalDistribution) {
  const auto pass = testing::run_plain<double>(Gelu{3}, 1, {}, {-1, 0, 2}, {1, 1, 1});
  // Φ(1) = 0.8413447460685429, Φ(2) = 0.9772498680518208.
  EXPECT_THAT(pass.output, ::testing::Pointwise(::testing::DoubleNear(1e-15),
                                                {-(1 - 0.8413447460685429), 0.0, 2 * 0.9772498680518208}));
}

TEST(Gelu, GradientMatchesDifferences) {
  testing::expect_gradients_match_differences(Gelu{35}, 3, {}, testing::noise(105, 1), 1e-5);
}

#if TARDIGRAD_HAS_ONEDNN
TEST(Gelu, OnednnAgreesWithDouble) {
  const auto input = testing::noise(3 * 35, 1);
  const auto output_gradient = testing::noise(3 * 35, 2);
  const auto exact = testing::run_plain<double>(Gelu{35}, 3, {}, input, output_gradient);
  const auto layer = onednn::make_layer(Gelu{35}, 3);
  const auto pass =
      testing::run_layer(*layer, {}, testing::to_float(input), testing::to_float(output_gradient));
  // oneDNN computes erf by a polynomial, to a few units in the last place of 1.
  EXPECT_LT(testing::relative_error(pass.output, exact.output), 1e-6);
  EXPECT_LT(testing::relative_error(pass.input_gradient, exact.input_gradient), 1e-6);
}
#endif

}  // namespace
}  // namespace tardigrad::models
