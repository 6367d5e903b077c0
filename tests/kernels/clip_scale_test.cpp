#include "kernels/clip_scale.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <span>
#include <stdexcept>

#include "kernels/square_sums.h"
#include "tests/kernels/backend.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;

float computed(Backend backend, const std::vector<float>& values, float max_norm, std::size_t offset = 0) {
  const Guarded<float> vector(backend, values, offset);
  const std::size_t chunks = SquareSums::chunks(values.size());
  const Guarded<double> sums(backend, std::vector<double>(chunks));
  const Guarded<float> scale(backend, {-1}, offset);
  execute(backend, SquareSums{values.size(), vector.data(), sums.data()});
  execute(backend, ClipScale{chunks, sums.data(), max_norm, scale.data()});
  EXPECT_TRUE(same_bits(vector.values(), values));
  static_cast<void>(sums.values());  // its guard bands
  return scale.values()[0];
}

std::vector<float> random_values(std::size_t dimension) {
  std::mt19937 random(static_cast<unsigned>(dimension) + 1);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> values(dimension);
  std::generate(values.begin(), values.end(),
                [&] { return std::ldexp(uniform(random), static_cast<int>(random() % 40) - 20); });
  return values;
}

/// A sum as lane_sum.h orders it, with 256 lanes.
double sum_by_lanes(const std::vector<double>& terms) {
  std::vector<double> sums(256);
  for (std::size_t i = 0; i < terms.size(); ++i) sums[i % 256] += terms[i];
  for (; sums.size() > 1; sums.resize(sums.size() / 2)) {
    for (std::size_t lane = 0; lane < sums.size() / 2; ++lane) sums[lane] += sums[lane + sums.size() / 2];
  }
  return sums[0];
}

double norm_by_chunks(const std::vector<float>& values) {
  std::vector<double> chunks;
  for (std::size_t first = 0; first < values.size(); first += SquareSums::chunk) {
    const std::size_t last = std::min(first + SquareSums::chunk, values.size());
    std::vector<double> squares;
    for (std::size_t i = first; i < last; ++i) {
      squares.push_back(static_cast<double>(values[i]) * static_cast<double>(values[i]));
    }
    chunks.push_back(sum_by_lanes(squares));
  }
  return std::sqrt(sum_by_lanes(chunks));
}

class ClipScaleContract : public OnBackend {};

TEST_P(ClipScaleContract, IsExactWhereTheNormIs) {
  for (const unsigned root : {1U, 2U, 3U, 16U, 31U, 64U, 65U, 100U}) {
    // d = root² elements of ±1/4: the norm is root/4.
    std::vector<float> values(std::size_t{root} * root, 0.25F);
    for (std::size_t i = 0; i < values.size(); i += 3) values[i] = -0.25F;
    SCOPED_TRACE(::testing::Message() << "d = " << values.size());
    const float norm = static_cast<float>(root) / 4;
    EXPECT_EQ(computed(GetParam(), values, norm / 8, root % 3), 0.125F);
    EXPECT_EQ(computed(GetParam(), values, norm, root % 3), 1);
    EXPECT_EQ(computed(GetParam(), values, norm * 2, root % 3), 1);
    EXPECT_EQ(computed(GetParam(), values, infinity, root % 3), 1);
  }
}

TEST_P(ClipScaleContract, AddsInTheSameOrderEverywhere) {
  for (const std::size_t dimension : {1, 2, 255, 256, 257, 4095, 4096, 4097, 100003, 3000001}) {
    SCOPED_TRACE(::testing::Message() << "d = " << dimension);
    const std::vector<float> values = random_values(dimension);
    const double norm = norm_by_chunks(values);
    const auto max_norm = static_cast<float>(norm / 3);
    EXPECT_EQ(computed(GetParam(), values, max_norm, dimension % 3),
              static_cast<float>(static_cast<double>(max_norm) / norm));
  }
}

TEST_P(ClipScaleContract, FollowsAPlainSum) {
  const std::vector<float> values = random_values(40021);
  double squares = 0;
  for (const float value : values) squares += static_cast<double>(value) * static_cast<double>(value);
  const double want = 0.5 / std::sqrt(squares);
  ASSERT_LT(want, 1);
  EXPECT_NEAR(computed(GetParam(), values, 0.5F), want, want * 0x1.001p-24);  // the rounding to fp32
}

TEST_P(ClipScaleContract, LeavesZeroAlone) {
  EXPECT_EQ(computed(GetParam(), std::vector<float>(5000), 0.1F), 1);
}

TEST_P(ClipScaleContract, TakesTheLargestAndTheSmallestNumbers) {
  constexpr float largest = std::numeric_limits<float>::max();
  constexpr float smallest = std::numeric_limits<float>::denorm_min();
  EXPECT_EQ(computed(GetParam(), std::vector<float>(4, largest), largest), 0.5F);
  EXPECT_EQ(computed(GetParam(), std::vector<float>(4, smallest), smallest), 0.5F);
}

TEST_P(ClipScaleContract, IsNanIfTheNormIsNotFinite) {
  for (const float bad : {infinity, -infinity, std::numeric_limits<float>::quiet_NaN()}) {
    for (const std::size_t where : {0UL, 4096UL, 4999UL}) {
      std::vector<float> values(5000, 0.5F);
      values[where] = bad;
      EXPECT_TRUE(std::isnan(computed(GetParam(), values, 1))) << bad << " at " << where;
    }
  }
}

// Parts that begin at multiples of a chunk, and end anywhere.
TEST_P(ClipScaleContract, PartsHaveTheSumsOfTheWhole) {
  const std::vector<float> values = random_values(5 * SquareSums::chunk + 17);
  const auto sums_of = [](std::span<const float> part) {
    const Guarded<float> vector(GetParam(), {part.begin(), part.end()});
    const Guarded<double> sums(GetParam(), std::vector<double>(SquareSums::chunks(part.size())));
    execute(GetParam(), SquareSums{part.size(), vector.data(), sums.data()});
    return sums.values();
  };
  std::vector<double> together;
  const std::span<const float> whole(values);
  for (const auto& [begin, end] : {std::pair{0UL, 2UL}, {2UL, 3UL}, {3UL, 6UL}}) {
    const std::size_t first = begin * SquareSums::chunk;
    const auto part = sums_of(whole.subspan(first, std::min(end * SquareSums::chunk, whole.size()) - first));
    together.insert(together.end(), part.begin(), part.end());
  }
  EXPECT_TRUE(same_bits(together, sums_of(whole)));
}

INSTANTIATE_TEST_SUITE_P(Backends, ClipScaleContract, every_backend, ::testing::PrintToStringParamName());

TEST(SquareSums, RefusesWrongArguments) {
  const float value = 0;
  double sum = 0;
  const SquareSums complete{1, &value, &sum};
  SquareSums squares = complete;
  squares.vector = nullptr;
  expect_refused(squares, "vector is null");
  squares = complete;
  squares.sums = nullptr;
  expect_refused(squares, "sums is null");
  EXPECT_NO_THROW(complete.run());
}

TEST(ClipScale, RefusesWrongArguments) {
  double sum = 0;
  float scale = 0;
  const ClipScale complete{1, &sum, 1, &scale};
  ClipScale clip = complete;
  clip.square_sums = nullptr;
  expect_refused(clip, "square_sums is null");
  clip = complete;
  clip.scale = nullptr;
  expect_refused(clip, "scale is null");
  for (const float max_norm : {0.0F, -1.0F, std::numeric_limits<float>::quiet_NaN()}) {
    clip = complete;
    clip.max_norm = max_norm;
    expect_refused(clip, "max_norm is not above 0");
  }
  EXPECT_NO_THROW(complete.run());
}

TEST(ClipScale, DoesNothingForNoParameters) {
  EXPECT_NO_THROW(SquareSums{}.run());
  EXPECT_NO_THROW(ClipScale{}.run());
#if TARDIGRAD_CUDA
  EXPECT_NO_THROW(SquareSums{}.launch(nullptr));
  EXPECT_NO_THROW(ClipScale{}.launch(nullptr));
#endif
}

TEST(ClipScale, CountsBytesAndFlops) {
  SquareSums squares;
  squares.dimension = 1000;
  EXPECT_EQ(squares.bytes(), 4000);
  EXPECT_EQ(squares.flops(), 2000);
  ClipScale clip;
  clip.count = 10;
  EXPECT_EQ(clip.bytes(), 80);
  EXPECT_EQ(clip.flops(), 10);
}

}  // namespace
}  // namespace tardigrad
