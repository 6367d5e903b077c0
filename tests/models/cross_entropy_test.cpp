#include "models/layers/cross_entropy.h"

#include <array>

#include "tests/models/layer_checks.h"

namespace tardigrad::models {
namespace {

TEST(CrossEntropy, TwoExamplesByHand) {
  // Softmax of [0, ln 3] is [1/4, 3/4]; of equal logits, uniform.
  const std::vector<double> logits{0, std::log(3.0), 7, 7};
  const std::vector<std::int32_t> labels{0, 0};
  std::vector<double> gradient(4);
  std::vector<std::uint8_t> hits(2);
  const double loss_sum =
      plain::cross_entropy(2, 2, logits.data(), labels.data(), gradient.data(), hits.data());
  EXPECT_NEAR(loss_sum, std::log(4.0) + std::log(2.0), 1e-15);
  EXPECT_THAT(hits, ::testing::ElementsAre(0, 1));  // Of equals the first.
  const std::array expected{-0.375, 0.375, -0.25, 0.25};
  EXPECT_THAT(gradient, ::testing::Pointwise(::testing::DoubleNear(1e-15), expected));
}

TEST(CrossEntropy, GradientMatchesDifferencesOfTheMean) {
  constexpr int count = 3;
  constexpr int classes = 5;
  std::vector<double> logits = testing::noise(count * classes, 4);
  const std::vector<std::int32_t> labels{4, 0, 2};
  std::vector<double> gradient(logits.size());
  plain::cross_entropy(count, classes, logits.data(), labels.data(), gradient.data());
  const auto mean = [&] {
    return plain::cross_entropy<double>(count, classes, logits.data(), labels.data(), nullptr) / count;
  };
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const double middle = logits[i];
    const double step = 1e-4;
    logits[i] = middle + step;
    const double right = mean();
    logits[i] = middle - step;
    const double left = mean();
    logits[i] = middle;
    // Truncation: step² / 6 times a third derivative below 1/count.
    EXPECT_NEAR(gradient[i], (right - left) / (2 * step), 1e-9) << i;
  }
}

TEST(CrossEntropy, LargeLogitsDoNotOverflow) {
  const std::vector<float> logits{30000, -30000, 0, 1e38F, 0, -1e38F};
  const std::vector<std::int32_t> labels{1, 0};
  std::vector<float> gradient(6);
  std::vector<std::uint8_t> hits(2);
  EXPECT_EQ(plain::cross_entropy(2, 3, logits.data(), labels.data(), gradient.data(), hits.data()), 60000);
  EXPECT_THAT(hits, ::testing::ElementsAre(0, 1));
  EXPECT_THAT(gradient, ::testing::ElementsAre(0.5, -0.5, 0, 0, 0, 0));
}

TEST(CrossEntropy, InPlaceGivesTheSame) {
  const auto logits = testing::to_float(testing::noise(40, 5));
  const std::vector<std::int32_t> labels{9, 0, 3, 3};
  AlignedVector<float> gradient(40);
  AlignedVector<float> in_place = logits;
  const double apart = plain::cross_entropy(4, 10, logits.data(), labels.data(), gradient.data());
  const double same = plain::cross_entropy(4, 10, in_place.data(), labels.data(), in_place.data());
  EXPECT_EQ(gradient, in_place);
  EXPECT_EQ(apart, same);
}

TEST(CrossEntropy, NonFiniteLogitsGiveNan) {
  const float infinity = std::numeric_limits<float>::infinity();
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), infinity}) {
    for (std::size_t position = 0; position < 3; ++position) {
      std::vector<float> logits{1, 2, 3};
      logits[position] = bad;
      const std::int32_t label = 1;
      const double loss = plain::cross_entropy<float>(1, 3, logits.data(), &label, nullptr);
      EXPECT_TRUE(std::isnan(loss)) << bad << " at " << position << ": " << loss;
    }
  }
}

}  // namespace
}  // namespace tardigrad::models
