#include "runtime/base/histogram.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace tardigrad {
namespace {

TEST(Histogram, WithoutValuesEverythingIsZero) {
  const Histogram histogram;
  EXPECT_EQ(histogram.total(), 0U);
  EXPECT_EQ(histogram.max(), 0U);
  EXPECT_EQ(histogram.median(), 0U);
}

TEST(Histogram, TheMedianIsTheLowerOne) {
  Histogram histogram;
  for (const std::uint64_t value : {7U, 3U, 5U, 3U}) histogram.add(value);
  EXPECT_EQ(histogram.median(), 3U);
  histogram.add(60);
  EXPECT_EQ(histogram.median(), 5U);
  EXPECT_EQ(histogram.total(), 5U);
  EXPECT_EQ(histogram.max(), 60U);
}

TEST(Histogram, IsExactBelow64) {
  for (std::uint64_t value = 0; value < 64; ++value) {
    Histogram histogram;
    histogram.add(value);
    EXPECT_EQ(histogram.median(), value);
  }
}

// At the edges of buckets, of powers of two and of the type.
TEST(Histogram, BucketsAreNoWiderThanAThirtySecondOfTheirValues) {
  std::vector<std::uint64_t> values = {~std::uint64_t{0}, ~std::uint64_t{0} - 1};
  for (int shift = 0; shift < 64; ++shift) {
    for (std::uint64_t offset = 0; offset < 3; ++offset) {
      values.push_back((std::uint64_t{1} << shift) + offset);
      values.push_back((std::uint64_t{1} << shift) - offset);
    }
  }
  for (const std::uint64_t value : values) {
    Histogram histogram;
    histogram.add(value);
    EXPECT_LE(histogram.median(), value);
    EXPECT_LE(value - histogram.median(), histogram.median() / 32) << value;
    EXPECT_EQ(histogram.max(), value);
  }
}

TEST(Histogram, IsMadeAgainFromItsBuckets) {
  Histogram histogram;
  for (const std::uint64_t value : {0, 5, 5, 70, 1000, 1001}) histogram.add(value);
  Histogram again;
  histogram.for_each([&](std::uint64_t first, std::uint64_t count) { again.add(first, count); });
  again.note_max(histogram.max());
  EXPECT_EQ(again.total(), 6U);
  EXPECT_EQ(again.median(), 5U);
  EXPECT_EQ(again.max(), 1001U);
  std::vector<std::uint64_t> counts;
  again.for_each([&](std::uint64_t, std::uint64_t count) { counts.push_back(count); });
  EXPECT_EQ(counts, (std::vector<std::uint64_t>{1, 2, 1, 2}));
}

TEST(Histogram, FindsTheMedianOfRandomValues) {
  std::mt19937_64 random(5);
  for (int round = 0; round < 100; ++round) {
    Histogram histogram;
    std::vector<std::uint64_t> values(1 + random() % 200);
    const auto magnitude = static_cast<int>(random() % 64);
    for (std::uint64_t& value : values) {
      value = random() >> magnitude;
      histogram.add(value);
    }
    std::sort(values.begin(), values.end());
    const std::uint64_t lower_median = values[(values.size() - 1) / 2];
    EXPECT_LE(histogram.median(), lower_median);
    EXPECT_LE(lower_median - histogram.median(), histogram.median() / 32);
    EXPECT_EQ(histogram.max(), values.back());
    EXPECT_EQ(histogram.total(), values.size());
  }
}

}  // namespace
}  // namespace tardigrad
