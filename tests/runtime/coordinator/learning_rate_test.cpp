#include "runtime/coordinator/learning_rate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

namespace tardigrad {
namespace {

using ::testing::HasSubstr;

TEST(LearningRate, IsConstantByDefault) {
  for (const LearningRate& rate : {LearningRate(0.3), LearningRate(0.3, "constant")}) {
    EXPECT_FALSE(rate.follows_progress());
    for (const std::uint64_t version : {0U, 1U, 1000000U}) EXPECT_EQ(rate.at(version, 0.7), 0.3);
  }
}

TEST(LearningRate, CosineHalvesInTheMiddleAndEndsAtZero) {
  const LearningRate rate(0.5, "cosine");
  EXPECT_TRUE(rate.follows_progress());
  EXPECT_EQ(rate.at(0, 0), 0.5);
  // cos is good to the last place or so, and so are these.
  EXPECT_NEAR(rate.at(7, 1.0 / 3), 0.375, 1e-15);
  EXPECT_NEAR(rate.at(7, 0.5), 0.25, 1e-15);
  EXPECT_NEAR(rate.at(7, 2.0 / 3), 0.125, 1e-15);
  EXPECT_NEAR(rate.at(7, 1), 0, 1e-15);
  EXPECT_GE(rate.at(7, 1), 0);
}

TEST(LearningRate, StepsAtMultiples) {
  const LearningRate rate(0.5, "step:10:0.25");
  EXPECT_FALSE(rate.follows_progress());
  EXPECT_EQ(rate.at(0, 0.9), 0.5);
  EXPECT_EQ(rate.at(9, 0.9), 0.5);
  EXPECT_EQ(rate.at(10, 0.9), 0.125);
  EXPECT_EQ(rate.at(19, 0.9), 0.125);
  EXPECT_EQ(rate.at(20, 0.9), 0.03125);
  EXPECT_EQ(LearningRate(0.5, "step:1:2").at(3, 0), 4);  // a warm-up is a schedule, too
}

TEST(LearningRate, OtherSchedulesAreRefusedByName) {
  for (const char* schedule : {"",
                               "cosin",
                               "cosine:1",
                               "Constant",
                               "step",
                               "step:",
                               "step:10",
                               "step:10:",
                               "step::0.5",
                               "step:0:0.5",
                               "step:-1:0.5",
                               "step:1.5:0.5",
                               "step:10:0",
                               "step:10:-1",
                               "step:10:nan",
                               "step:10:inf",
                               "step:10:0.5:3",
                               "step:10:0.5 ",
                               "step: 10:0.5",
                               "step:99999999999999999999:0.5"}) {
    try {
      const LearningRate rate(1, schedule);
      ADD_FAILURE() << "accepted: " << schedule;
    } catch (const std::invalid_argument& error) {
      EXPECT_THAT(error.what(), HasSubstr(std::string("--lr-schedule ") + schedule + ": expected constant"));
    }
  }
}

TEST(RunLimits, TheNearestSaysHowMuchIsOver) {
  EXPECT_EQ(RunLimits().share_over({.updates = 5, .gradients = 6, .time = 7}), 0);
  const RunLimits limits{.updates = 100, .gradients = 20, .time = 8};
  EXPECT_EQ(limits.share_over({.updates = 50, .gradients = 1, .time = 1}), 0.5);
  EXPECT_EQ(limits.share_over({.updates = 50, .gradients = 15, .time = 1}), 0.75);
  EXPECT_EQ(limits.share_over({.updates = 50, .gradients = 15, .time = 7}), 0.875);
  EXPECT_EQ((RunLimits{.examples = 60}).share_over({.examples = 15}), 0.25);
  EXPECT_EQ(limits.share_over({.updates = 101, .gradients = 15, .time = 7}), 1);
}

TEST(RunLimits, TheNearestSaysHowManyArrivalsAreLeft) {
  EXPECT_EQ((RunLimits{.time = 3}).arrivals_left({.updates = 5}, 8),
            std::numeric_limits<std::uint64_t>::max());
  const RunLimits limits{.updates = 100, .gradients = 90, .examples = 800};
  EXPECT_EQ(limits.arrivals_left({}, 8), 90U);
  EXPECT_EQ(limits.arrivals_left({.updates = 98}, 8), 2U);
  EXPECT_EQ(limits.arrivals_left({.examples = 783}, 8), 3U);
  EXPECT_EQ(limits.arrivals_left({.examples = 784}, 8), 2U);
  EXPECT_EQ(limits.arrivals_left({.examples = 784}, 0), 16U);
  EXPECT_EQ(limits.arrivals_left({.updates = 101}, 8), 0U);
}

TEST(LearningRate, WarmsUpInEqualStepsAndThenFollowsItsSchedule) {
  const LearningRate alone(0.5, "warmup:4");
  EXPECT_FALSE(alone.follows_progress());
  EXPECT_EQ(alone.at(0, 0), 0.125);
  EXPECT_EQ(alone.at(2, 0), 0.375);
  EXPECT_EQ(alone.at(3, 0), 0.5);
  EXPECT_EQ(alone.at(1000, 0), 0.5);
  const LearningRate cosine(0.5, "warmup:4+cosine");
  EXPECT_TRUE(cosine.follows_progress());
  EXPECT_EQ(cosine.at(1, 0.5), 0.125);
  EXPECT_EQ(cosine.at(100, 1), 0);
  EXPECT_EQ(LearningRate(1, "warmup:2+step:10:0.5").at(20, 0), 0.25);
  for (const char* wrong : {"warmup", "warmup:", "warmup:0", "warmup:x", "warmup:3+", "warmup:3+warmup:3"}) {
    EXPECT_THROW(LearningRate(1, wrong), std::invalid_argument) << wrong;
  }
}

TEST(LearningRate, OfARunThatEndsLaterIsLarger) {
  const LearningRate cosine(0.5, "cosine");
  const RunPosition position{.updates = 50, .gradients = 50, .time = 50};
  EXPECT_EQ(cosine.at(position, {.updates = 50}), 0);
  EXPECT_NEAR(cosine.at(position, {.updates = 100}), 0.25, 1e-15);
  EXPECT_EQ(LearningRate(0.5, "step:50:0.5").at(position, {.updates = 60}), 0.25);
}

}  // namespace
}  // namespace tardigrad
