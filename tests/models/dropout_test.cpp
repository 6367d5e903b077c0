#include "models/layers/dropout.h"

#include <numeric>

#include "tests/models/layer_checks.h"

namespace tardigrad::models {
namespace {

constexpr MaskKey key{.seed = 1, .worker = 2, .job = 3};

std::vector<bool> kept(const MaskKey& of, std::uint64_t layer, double probability = 0.5) {
  const DropoutMask mask(DropoutMask::start(of, layer), probability);
  std::vector<bool> elements(1000);
  for (std::size_t i = 0; i < elements.size(); ++i) elements[i] = mask.keeps(i);
  return elements;
}

TEST(DropoutMask, DependsOnEveryPartOfTheKey) {
  EXPECT_EQ(kept(key, 0), kept(key, 0));
  for (const auto& [other, layer] : {std::pair{MaskKey{2, 2, 3}, 0}, std::pair{MaskKey{1, 3, 3}, 0},
                                     std::pair{MaskKey{1, 2, 4}, 0}, std::pair{key, 1}}) {
    const auto masks = kept(other, static_cast<std::uint64_t>(layer));
    int same = 0;
    for (std::size_t i = 0; i < masks.size(); ++i) same += static_cast<int>(masks[i] == kept(key, 0)[i]);
    EXPECT_NEAR(same, 500, 80);  // five standard deviations
  }
}

TEST(DropoutMask, KeepsItsShare) {
  for (const double probability : {0.0, 0.1, 0.5, 0.9}) {
    const auto masks = kept(key, 0, probability);
    const double share = static_cast<double>(std::accumulate(masks.begin(), masks.end(), 0)) / 1000;
    EXPECT_NEAR(share, 1 - probability, 5 * std::sqrt(probability * (1 - probability) / 1000)) << probability;
  }
}

TEST(Dropout, ScalesWhatItKeeps) {
  const std::vector<double> ones(40, 1.0);
  const auto pass = testing::run_plain<float>(Dropout{20, 0.75, 0, key}, 2, {}, ones, ones);
  EXPECT_THAT(pass.output, ::testing::Each(::testing::AnyOf(0.0F, 4.0F)));
  EXPECT_THAT(pass.output, ::testing::Contains(4.0F));
  EXPECT_EQ(pass.input_gradient, pass.output);
  const auto evaluated = testing::run_plain<float>(Dropout{20, 0.75, 0, std::nullopt}, 2, {}, ones, ones);
  EXPECT_THAT(evaluated.output, ::testing::Each(1.0F));
}

TEST(Dropout, GradientMatchesDifferences) {
  testing::expect_gradients_match_differences(Dropout{35, 0.4, 1, key}, 3, {}, testing::noise(105, 1));
}

}  // namespace
}  // namespace tardigrad::models
