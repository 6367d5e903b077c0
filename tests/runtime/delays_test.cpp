#include "runtime/delays.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

namespace tardigrad {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string refusal(const std::string& value, int workers = 3) {
  try {
    Delays::parse(value, workers, 0);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Delays, AListGivesEachWorkerItsTime) {
  const Delays delays = Delays::parse("1.5,2,4e1", 3, 7);
  EXPECT_THAT(delays.durations(), ElementsAre(1.5, 2, 40));
  EXPECT_EQ(delays.duration(2, 0), 40);
  EXPECT_EQ(delays.duration(2, 99), 40);
  EXPECT_EQ(Delays::list_length("1.5,2,4e1"), 3);
  EXPECT_EQ(Delays::list_length("truncnorm:1:5"), std::nullopt);
}

TEST(Delays, MeasuredEmulatesNothing) { EXPECT_TRUE(Delays::parse("measured", 3, 0).measured()); }

TEST(Delays, TruncnormDependsOnSeedAndWorkerAlone) {
  const auto few = Delays::parse("truncnorm:1:5", 5, 3).durations();
  const auto many = Delays::parse("truncnorm:1:5", 50, 3).durations();
  EXPECT_TRUE(std::equal(few.begin(), few.end(), many.begin()));
  EXPECT_NE(few, Delays::parse("truncnorm:1:5", 5, 4).durations());
}

TEST(Delays, TruncnormHasTheMeanOfTheTruncatedNormal) {
  const auto times = Delays::parse("truncnorm:1:5", 20000, 1).durations();
  EXPECT_GT(*std::min_element(times.begin(), times.end()), 0);
  // mean + std·φ(a)/(1 − Φ(a)) with a = −mean/std = −0.2: 1 + 5·0.391043/0.579260 = 4.3754. The truncated
  // deviation is 3.02, so the sample mean has 0.021; five of those.
  const double mean = std::accumulate(times.begin(), times.end(), 0.0) / 20000;
  EXPECT_NEAR(mean, 4.3754, 0.107);
}

TEST(Delays, TruncnormWithoutSpreadIsItsMean) {
  EXPECT_THAT(Delays::parse("truncnorm:2:0", 2, 1).durations(), ElementsAre(2, 2));
}

TEST(Delays, RefusalsNameTheValueAndWhatWasExpected) {
  EXPECT_THAT(refusal("1,2"),
              HasSubstr("--compute-time 1,2: expected one time for each of the 3 workers, found 2"));
  EXPECT_THAT(refusal("1,,2"), HasSubstr("expected positive times, found ''"));
  EXPECT_THAT(refusal("1,0,2"), HasSubstr("found '0'"));
  EXPECT_THAT(refusal("1,-2,2"), HasSubstr("found '-2'"));
  EXPECT_THAT(refusal("1,1e999,2"), HasSubstr("found '1e999'"));
  EXPECT_THAT(refusal("fast"), HasSubstr("expected measured, a list such as 1,2,40, or truncnorm:MEAN:STD"));
  EXPECT_THAT(refusal(""), HasSubstr("expected measured"));
  for (const char* value : {"truncnorm:", "truncnorm:1", "truncnorm:1:x", "truncnorm:-1:2", "truncnorm:1:-2",
                            "truncnorm:0:0", "truncnorm:1:2:3", "truncnorm:nan:1"}) {
    EXPECT_THAT(refusal(value), HasSubstr("expected truncnorm:MEAN:STD")) << value;
  }
}

}  // namespace
}  // namespace tardigrad
