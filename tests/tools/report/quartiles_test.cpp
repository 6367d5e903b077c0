#include "tools/report/quartiles.h"

#include <gtest/gtest.h>

namespace tardigrad {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

void expect_quartiles(const std::vector<double>& values, double lower, double median, double upper) {
  const Quartiles found = quartiles(values);
  EXPECT_DOUBLE_EQ(found.lower, lower);
  EXPECT_DOUBLE_EQ(found.median, median);
  EXPECT_DOUBLE_EQ(found.upper, upper);
}

TEST(Quartiles, AreLinearBetweenTheValues) {
  expect_quartiles({7}, 7, 7, 7);
  expect_quartiles({3, 1}, 1.5, 2, 2.5);
  expect_quartiles({8, 2, 4}, 3, 4, 6);
  expect_quartiles({5, 1, 4, 2, 3}, 2, 3, 4);
}

TEST(Quartiles, CountInfinitiesAsTheLargestAndSmallestValues) {
  expect_quartiles({infinity, 1, 2, infinity, 3}, 2, 3, infinity);
  expect_quartiles({infinity, 1}, infinity, infinity, infinity);
  expect_quartiles({infinity, infinity, 1, 2}, 1.75, infinity, infinity);
  expect_quartiles({-infinity, 1, 2}, -infinity, 1, 1.5);
}

TEST(Quartiles, OfNothingAreNone) { EXPECT_TRUE(std::isnan(quartiles({}).median)); }

}  // namespace
}  // namespace tardigrad
