#include "kernels/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <vector>

namespace tardigrad {
namespace {

struct Moments {
  double mean = 0;
  double variance = 0;
};

template <typename Draw>
Moments moments(int count, Draw&& draw) {
  double sum = 0;
  double squares = 0;
  for (int i = 0; i < count; ++i) {
    const double value = draw();
    sum += value;
    squares += value * value;
  }
  const double mean = sum / count;
  return {.mean = mean, .variance = squares / count - mean * mean};
}

TEST(Random, SplitMixGivesTheReferenceNumbers) {
  // First outputs of the authors' C code (prng.di.unimi.it/splitmix64.c) for seed 1234567.
  std::uint64_t state = 1234567;
  for (const std::uint64_t expected : {6457827717110365317U, 3203168211198807973U, 9817491932198370423U,
                                       4593380528125082431U, 16408922859458223821U}) {
    EXPECT_EQ(splitmix64(state), expected);
  }
}

TEST(Random, XoshiroGivesTheReferenceNumbers) {
  // First outputs of the authors' C code (prng.di.unimi.it/xoshiro256plusplus.c) from state 1, 2, 3, 4.
  Random random({1, 2, 3, 4});
  const std::vector<std::uint64_t> reference = {41943041U,
                                                58720359U,
                                                3588806011781223U,
                                                3591011842654386U,
                                                9228616714210784205U,
                                                9973669472204895162U,
                                                14011001112246962877U,
                                                12406186145184390807U,
                                                15849039046786891736U,
                                                10450023813501588000U};
  for (const std::uint64_t expected : reference) EXPECT_EQ(random.bits(), expected);
}

TEST(Random, EveryPartOfTheKeyCounts) {
  std::set<std::uint64_t> first_bits;
  for (const std::uint64_t seed : {0, 1}) {
    for (const Purpose purpose : {Purpose::partition, Purpose::epoch, Purpose::replacement}) {
      for (const std::uint64_t worker : {0, 1, 2}) {
        for (const std::uint64_t index : {0, 1, 2}) {
          first_bits.insert(Random(seed, purpose, worker, index).bits());
        }
      }
    }
  }
  EXPECT_EQ(first_bits.size(), 2U * 3 * 3 * 3);
  EXPECT_EQ(Random(1, Purpose::epoch, 2, 3).bits(), Random(1, Purpose::epoch, 2, 3).bits());
}

TEST(Random, BoundedIntegersAreUnbiased) {
  // With bound 3·2^30 an unrejected product or a modulo would give some thirds twice the share of others.
  Random random(1, Purpose::partition);
  constexpr std::uint32_t bound = 3U << 30;
  constexpr int draws = 300'000;
  std::vector<double> residues(3);
  std::vector<double> thirds(3);
  for (int i = 0; i < draws; ++i) {
    const std::uint32_t value = random.below(bound);
    ASSERT_LT(value, bound);
    ++residues[value % 3];
    ++thirds[value >> 30];
  }
  // Five standard deviations of a count of 100,000: sqrt(300,000 · 1/3 · 2/3) = 258.
  for (const double count : residues) EXPECT_NEAR(count, draws / 3.0, 5 * 258);
  for (const double count : thirds) EXPECT_NEAR(count, draws / 3.0, 5 * 258);
}

TEST(Random, BoundOneGivesZero) {
  Random random(1, Purpose::partition);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(random.below(1), 0U);
}

TEST(Random, UniformStaysInsideItsEnds) {
  EXPECT_GT(Random({0, 1, 0, 0}).uniform(), 0);  // The first output from this state is 0.
  Random random(2, Purpose::partition);
  constexpr int draws = 100'000;
  const auto [mean, variance] = moments(draws, [&] {
    const double value = random.uniform();
    EXPECT_TRUE(value > 0 && value < 1) << value;
    return value;
  });
  EXPECT_NEAR(mean, 0.5, 5 * std::sqrt(1.0 / 12 / draws));
  EXPECT_NEAR(variance, 1.0 / 12, 5 * std::sqrt(1.0 / 180 / draws));  // Var(x²) about the mean is 1/180.
}

TEST(Random, NormalHasItsMoments) {
  Random random(3, Purpose::partition);
  constexpr int draws = 200'000;
  int beyond_two = 0;
  const auto [mean, variance] = moments(draws, [&] {
    const double value = random.normal();
    beyond_two += std::abs(value) > 2 ? 1 : 0;
    return value;
  });
  EXPECT_NEAR(mean, 0, 5 / std::sqrt(draws));
  EXPECT_NEAR(variance, 1, 5 * std::sqrt(2.0 / draws));
  const double share = std::erfc(2 / std::sqrt(2));
  EXPECT_NEAR(beyond_two, share * draws, 5 * std::sqrt(share * draws));
}

TEST(Random, ExponentialHasItsMomentsAndTail) {
  Random random(8, Purpose::partition);
  constexpr int draws = 200'000;
  int beyond_three = 0;
  const auto [mean, variance] = moments(draws, [&] {
    const double value = random.exponential();
    EXPECT_GT(value, 0);
    beyond_three += value > 3 ? 1 : 0;
    return value;
  });
  EXPECT_NEAR(mean, 1, 5 / std::sqrt(draws));
  EXPECT_NEAR(variance, 1, 5 * std::sqrt(8.0 / draws));  // The fourth central moment is 9.
  const double share = std::exp(-3);
  EXPECT_NEAR(beyond_three, share * draws, 5 * std::sqrt(share * draws));
}

TEST(Random, GammaHasItsMoments) {
  constexpr int draws = 200'000;
  for (const double shape : {0.3, 1.0, 2.5, 100.0}) {
    Random random(4, Purpose::partition);
    const auto [mean, variance] = moments(draws, [&] { return std::exp(random.log_gamma_variate(shape)); });
    // Mean and variance are both the shape; the fourth central moment is 3 shape² + 6 shape.
    EXPECT_NEAR(mean, shape, 5 * std::sqrt(shape / draws)) << shape;
    EXPECT_NEAR(variance, shape, 5 * std::sqrt((2 * shape * shape + 6 * shape) / draws)) << shape;
  }
}

TEST(Random, GammaOfTinyShapeKeepsItsLogarithm) {
  // The logarithm has mean ψ(0.001) = -1000.5756 and variance ψ'(0.001) = 1000001.6; the variates themselves
  // underflow.
  Random random(5, Purpose::partition);
  constexpr int draws = 20'000;
  const auto [mean, variance] = moments(draws, [&] { return random.log_gamma_variate(1e-3); });
  EXPECT_NEAR(mean, -1000.5756, 5 * 1000 / std::sqrt(draws));
  // The boost is an exponential of scale 1000, whose fourth central moment is 9 scale⁴.
  EXPECT_NEAR(variance, 1.0000016e6, 5 * 1e6 * std::sqrt(8.0 / draws));
}

TEST(Random, GammaOfExtremeShapesIsFinite) {
  Random random(6, Purpose::partition);
  for (const double shape : {1e-300, 1e-12, 1e12, 1e300}) {
    for (int i = 0; i < 1000; ++i) ASSERT_TRUE(std::isfinite(random.log_gamma_variate(shape))) << shape;
  }
}

TEST(Random, ShuffleGivesEveryOrderAlike) {
  constexpr int draws = 24'000;
  std::map<std::vector<int>, int> orders;
  for (int i = 0; i < draws; ++i) {
    std::vector<int> items = {1, 2, 3, 4};
    Random(7, Purpose::epoch, 0, static_cast<std::uint64_t>(i)).shuffle(std::span(items));
    ++orders[items];
  }
  ASSERT_EQ(orders.size(), 24U);
  double chi_square = 0;
  for (const auto& [order, count] : orders) chi_square += std::pow(count - 1000.0, 2) / 1000;
  EXPECT_LT(chi_square, 58.6);  // 23 degrees of freedom: beyond it with probability 6e-5.
}

}  // namespace
}  // namespace tardigrad
