// What methods that keep a table of gradients make of arrivals, action by action.

#include <gtest/gtest.h>

#include "tests/runtime/methods/method_words.h"

namespace tardigrad {
namespace {

using testing::arrive;
using testing::started;

TEST(Dude, WarmsUpOnceThenStepsAtEveryArrival) {
  const auto method = started("dude", {.workers = 3});
  EXPECT_EQ(arrive(*method, 2), " fold 2*1");
  EXPECT_EQ(arrive(*method, 0), " fold 0*1");
  EXPECT_EQ(arrive(*method, 1), " fold 1*1 step*1 hand 2 hand 0 hand 1");
  EXPECT_EQ(arrive(*method, 1), " fold 1*1 step*1 hand 1");
  EXPECT_EQ(arrive(*method, 1), " fold 1*1 step*1 hand 1");
}

TEST(Dude, GatherFoldsSeveralIntoOneUpdate) {
  const auto method = started("dude", {.workers = 3, .gather = 2});
  arrive(*method, 0);
  arrive(*method, 1);
  EXPECT_EQ(arrive(*method, 2), " fold 2*1 step*1 hand 0 hand 1 hand 2");
  EXPECT_EQ(arrive(*method, 1), " fold 1*1");
  EXPECT_EQ(arrive(*method, 0), " fold 0*1 step*1 hand 1 hand 0");
  EXPECT_EQ(arrive(*method, 2), " fold 2*1");
}

TEST(Ia2sgd, WorkersGoOnDuringWarmUpAndFillingMakesNoUpdate) {
  const auto method = started("ia2sgd", {.workers = 2});
  EXPECT_EQ(arrive(*method, 1), " fold 1*1 hand 1");
  EXPECT_EQ(arrive(*method, 1), " fold 1*1 hand 1");
  EXPECT_EQ(arrive(*method, 0), " fold 0*1 hand 0");
  EXPECT_EQ(arrive(*method, 1), " fold 1*1 step*1 hand 1");
  EXPECT_EQ(arrive(*method, 1), " fold 1*1 step*1 hand 1");
}

TEST(Malenia, AveragesWhatEachWorkerComputesUntilAllHave) {
  const auto method = started("malenia", {.workers = 2});
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(arrive(*method, 1), " lazily fold 1*1 hand 1");
    EXPECT_EQ(arrive(*method, 1), " lazily fold 1*0.5 hand 1");
    EXPECT_EQ(arrive(*method, 0), " lazily fold 0*1 average step*1 discard 1 hand 0 hand 1");
  }
}

/// n workers with b gradients each have the harmonic mean b exactly, whatever n and b: rounding of 1/b must
/// not ask for more.
TEST(Malenia, GatherAsksForAHarmonicMean) {
  for (int n = 1; n <= 60; ++n) {
    for (int b = 1; b <= 12; ++b) {
      const auto method = started("malenia", {.workers = n, .gather = n * b});
      Actions actions;
      for (int i = 0; i < n * b; ++i) {
        EXPECT_TRUE(actions.empty() || actions.size() == 2) << "a step too early, n " << n << ", b " << b;
        actions.clear();
        method->arrive({.worker = i % n}, actions);
      }
      EXPECT_EQ(std::ssize(actions), 2 * n + 2) << "no step, n " << n << ", b " << b;
    }
  }
}

TEST(Ringleader, RoundsOfGatheringAndAnUpdateEach) {
  const auto method = started("ringleader", {.workers = 3});
  EXPECT_EQ(arrive(*method, 0), " lazily fold 0*1 hand 0");
  EXPECT_EQ(arrive(*method, 0), " lazily fold 0*0.5 hand 0");
  EXPECT_EQ(arrive(*method, 1), " lazily fold 1*1 hand 1");
  EXPECT_EQ(arrive(*method, 2), " lazily fold 2*1 average step*1 hand 2");
  EXPECT_EQ(arrive(*method, 2), " lazily fold next 2*1 hand 2");
  EXPECT_EQ(arrive(*method, 1), " fold 1*0.5 step*1 hand 1");
  EXPECT_EQ(arrive(*method, 2), " lazily fold next 2*0.5 hand 2");
  EXPECT_EQ(arrive(*method, 1), " lazily fold next 1*1 hand 1");
  EXPECT_EQ(arrive(*method, 0), " fold 0*0.333333 step*1 hand 0 swap");
  EXPECT_EQ(arrive(*method, 1), " lazily fold 1*0.5 hand 1");  // goes on with what was next
  EXPECT_EQ(arrive(*method, 0), " lazily fold 0*1 average step*1 hand 0");
  EXPECT_EQ(arrive(*method, 0), " lazily fold next 0*1 hand 0");  // next was emptied
}

TEST(Ringleader, OneWorkerIsGradientDescent) {
  const auto method = started("ringleader", {.workers = 1});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(arrive(*method, 0), " lazily fold 0*1 average step*1 hand 0 swap");
}

TEST(Ca2fl, KeepsRowsOfThoseWhoMayComeAgainBeforeTheStep) {
  const auto kept_rows = [](const MethodOptions& options) {
    const ServerMemory memory = make_method("ca2fl", options)->memory();
    EXPECT_TRUE(memory.corrected);
    return memory.kept_rows;
  };
  EXPECT_EQ(kept_rows({.workers = 100}), 9);
  EXPECT_EQ(kept_rows({.workers = 3}), 3);
  EXPECT_EQ(kept_rows({.workers = 3, .gather = 1}), 0);
}

TEST(Ca2fl, MeasuresEveryArrivalAgainstTheRowOfTheStepBefore) {
  const auto method = started("ca2fl", {.workers = 3, .gather = 3});
  EXPECT_EQ(arrive(*method, 2), " restart by 2*0.333333 keeping 0 hand 2");
  EXPECT_EQ(arrive(*method, 0), " correct 0*0.333333 keeping 1 hand 0");
  EXPECT_EQ(arrive(*method, 2), " correct 2*0.333333 kept 0 step*1 hand 2");
  EXPECT_EQ(arrive(*method, 0), " restart by 0*0.333333 keeping 0 hand 0");
  EXPECT_EQ(arrive(*method, 0), " correct 0*0.333333 kept 0 hand 0");
  EXPECT_EQ(arrive(*method, 1), " correct 1*0.333333 step*1 hand 1");  // nobody comes after it
}

TEST(Ca2fl, StepsAtEveryArrivalIfToldTo) {
  const auto method = started("ca2fl", {.workers = 2, .gather = 1});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(arrive(*method, 1), " restart by 1*1 step*1 hand 1");
}

/// The actions for a gradient of that worker, computed at `version`, when the model has version k.
std::string arrive_at(Method& method, int worker, std::uint64_t version, std::uint64_t k) {
  return arrive(method, Arrival{.worker = worker, .version = version, .staleness = k - version});
}

TEST(Aced, RowsLeaveAndEnterTheMean) {
  const auto method = started("aced", {.workers = 5, .delay_threshold = 2});
  for (const int worker : {0, 1, 2, 3}) arrive(*method, worker);
  EXPECT_EQ(arrive(*method, 4), " fold 4*1 step*1 hand 0 hand 1 hand 2 hand 3 hand 4");
  EXPECT_EQ(arrive_at(*method, 0, 1, 1), " fold 0*1 step*1 hand 0");
  EXPECT_EQ(arrive_at(*method, 1, 1, 2), " fold 1*1 step*1 hand 1");
  // Rows 3 and 4, of version 0, are too old for version 3; row 2 is replaced in time.
  EXPECT_EQ(arrive_at(*method, 2, 1, 3), " leave 3 leave 4 fold 2*1 step*1 hand 2");
  EXPECT_EQ(arrive_at(*method, 0, 2, 4), " skip 1 skip 2 average fold 0*1 step*1 hand 0");
  EXPECT_EQ(arrive_at(*method, 3, 1, 5), " skip 0 average lazily fold 3*1 hand 3");  // nothing is recent
  EXPECT_EQ(arrive_at(*method, 1, 3, 5), " lazily fold 1*1 enter 1 step*1 hand 1");
}

TEST(Aced, GoesOnCountingARowThatIsReplacedAsItGrowsTooOld) {
  const auto method = started("aced", {.workers = 1, .delay_threshold = 0});
  EXPECT_EQ(arrive_at(*method, 0, 0, 0), " fold 0*1 step*1 hand 0");
  EXPECT_EQ(arrive_at(*method, 0, 1, 1), " fold 0*1 step*1 hand 0");
}

TEST(Aced, ForgetsARowForTenRoundsIfNotTold) {
  const auto method = started("aced", {.workers = 2});
  arrive(*method, 0);
  arrive(*method, 1);
  EXPECT_EQ(arrive_at(*method, 0, 20, 20), " fold 0*1 step*1 hand 0");
  EXPECT_EQ(arrive_at(*method, 0, 21, 21), " skip 1 average fold 0*1 step*1 hand 0");
}

}  // namespace
}  // namespace tardigrad
