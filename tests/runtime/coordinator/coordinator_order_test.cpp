// In which order the coordinator does things: on fakes, without threads and without time.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "tests/support/fake_execution.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;
using ::testing::Not;

TEST(CoordinatorOrder, AJobBeginsBehindTheStepWhoseModelItStartsFrom) {
  FakeRun run(2, "asgd");
  run.events->end_of_job(1);
  run.events->end_of_job(0);
  EXPECT_EQ(run.go().stop_reason, StopReason::interrupted);
  EXPECT_THAT(run.happened,
              ElementsAre("begins 0.0", "begins 1.0", "hands over 0.0@0", "hands over 1.0@0", "starts 0",
                          "starts 1",                                                                //
                          "begins 1.1", "arrives 1.0", "hands over 1.1@1", "step to 1", "starts 1",  //
                          "begins 0.1", "arrives 0.0", "hands over 0.1@2", "step to 2", "starts 0"));
}

// With a threshold of 2 worker 1's first job is thrown away at version 2, and, as far as the method knows,
// what it was handed then at 4. It ends behind update 5: the worker goes on with that model, by one
// hand-over.
TEST(CoordinatorOrder, AWorkerIsHandedTheNewestModelWhenTheJobThatWasThrownAwayHasEnded) {
  FakeRun run(2, "ringmaster", {.delay_threshold = 2});
  for (int i = 0; i < 5; ++i) run.events->end_of_job(0);
  run.events->end_of_job(1);
  run.events->end_of_job(1);
  const RunSummary summary = run.go();
  EXPECT_EQ(std::ranges::count(run.happened, "cancels 1.0@0"), 1);
  EXPECT_THAT(run.after("step to 5"),
              ElementsAre("starts 0", "retires 1", "begins 1.1", "hands over 1.1@5",
                          "starts 1",  //
                          "begins 1.2", "arrives 1.1", "hands over 1.2@6", "step to 6", "starts 1"));
  EXPECT_EQ(summary.workers[1].discarded_jobs, 1U);
  EXPECT_DOUBLE_EQ(summary.workers[1].discarded_share, 2.0 / 3);
  EXPECT_DOUBLE_EQ(summary.discarded_share, 0.2);  // 2 of the 7 + 3 that both were busy
  ASSERT_EQ(run.recorder.discards.size(), 1U);
  EXPECT_EQ(run.recorder.discards[0].compute_time, 2);
}

// Worker 0's second job is under way when worker 1's first completes the round.
TEST(CoordinatorOrder, AnUpdateIsMadeWithoutTheJobThatItThrowsAway) {
  FakeRun run(2, "malenia");
  run.events->end_of_job(0);
  run.events->end_of_job(1);
  run.events->end_of_job(1);
  run.events->end_of_job(0);
  run.events->end_of_job(0);
  const RunSummary summary = run.go();
  EXPECT_THAT(run.after("arrives 1.0"), Contains("cancels 0.1@0"));
  EXPECT_THAT(run.after("arrives 1.0"), Contains("hands over 1.1@1"));
  EXPECT_THAT(run.after("retires 0"),
              IsSupersetOf({"begins 0.2", "hands over 0.2@1", "starts 0", "arrives 0.2", "step to 2"}));
  EXPECT_EQ(summary.workers[0].discarded_jobs, 1U);
  EXPECT_EQ(summary.updates, 2U);
}

// Thrown away round after round while it goes on, it counts once: it has begun only one job.
TEST(CoordinatorOrder, NobodyWaitsForAWorkerWhoseJobWasThrownAway) {
  FakeRun run(3, "rennala", {.gather = 2});
  for (int round = 0; round < 5; ++round) {
    run.events->end_of_job(0);
    run.events->end_of_job(1);
  }
  const RunSummary summary = run.go();
  EXPECT_EQ(summary.updates, 3U);  // each throws away a job of one of the others, too
  EXPECT_EQ(summary.workers[2].discarded_jobs, 1U);
  EXPECT_EQ(std::ranges::count(run.happened, "cancels 2.0@0"), 1);
  EXPECT_THAT(run.happened, Not(Contains("starts 2.1")));
}

TEST(CoordinatorOrder, LossesAreLookedAtWhenTheExecutorTakesNoMoreArrivals) {
  FakeRun run(1, "asgd");
  run.executor->ahead = 3;
  run.executor->losses = {1, 2, 3};
  for (int i = 0; i < 4; ++i) run.events->end_of_job(0);
  run.options.max_updates = 4;
  run.options.evaluate_every_updates = 2;
  std::vector<std::size_t> told;  // updates told when an evaluation begins
  run.objective.in_evaluation = [&](const BreakOff&) { told.push_back(run.recorder.updates.size()); };
  run.go();
  EXPECT_THAT(told, ElementsAre(0U, 2U, 4U));
  std::vector<float> losses;
  for (const UpdateRecord& update : run.recorder.updates) losses.push_back(update.loss);
  EXPECT_THAT(losses, ElementsAre(1, 2, 3, 0));
}

TEST(CoordinatorOrder, ALossThatIsNotFiniteIsFoundWhenItIsLookedAt) {
  FakeRun run(1, "asgd");
  run.executor->ahead = 4;
  run.executor->losses = {1, std::numeric_limits<float>::infinity(), 1, 1, 1};
  for (int i = 0; i < 10; ++i) run.events->end_of_job(0);
  EXPECT_THROW(run.go(), NotFiniteError);
  EXPECT_EQ(run.recorder.arrivals.size(), 6U) << "two are looked at when the fifth and the sixth come";
  EXPECT_EQ(run.recorder.updates.size(), 1U);
}

/// Keeps what it is told, in order.
class Listener final : public RunObserver {
 public:
  void on_gradient(const GradientRecord&) override { heard.emplace_back("gradient"); }
  void on_update(const UpdateRecord&) override { heard.emplace_back("update"); }
  void on_discard(const JobRecord&) override { heard.emplace_back("discard"); }
  void on_warning(const Warning&) override { heard.emplace_back("warning"); }
  std::vector<std::string> heard;
};

/// Warns another observer of each gradient, as guard rails do.
class Warner final : public RunObserver {
 public:
  explicit Warner(RunObserver& warned) : warned_(warned) {}
  void on_gradient(const GradientRecord&) override { warned_.on_warning({}); }

 private:
  RunObserver& warned_;
};

TEST(CoordinatorOrder, AWarningOfAGradientComesBehindAllThatItLedTo) {
  FakeRun run(2, "malenia");
  Listener listener;
  Warner warner(listener);
  run.observers = {&listener, &warner};
  run.events->end_of_job(0);
  run.events->end_of_job(1);  // throws the second job of worker 0 away
  run.go();
  EXPECT_THAT(listener.heard, ElementsAre("gradient", "warning", "gradient", "update", "discard", "warning"));
}

TEST(CoordinatorOrder, AWorkerThatFailsIsOutForGood) {
  FakeRun run(2, "asgd");
  run.events->end_of_job(0);
  run.executor->failures = {{1, "bad luck"}};
  run.events->end_of_job(1);  // what its stream calls when it fails
  run.events->end_of_job(0);
  const RunSummary summary = run.go();
  EXPECT_THAT(run.happened, Contains("loses 1, whose job goes on"));
  EXPECT_THAT(run.happened, Not(Contains("arrives 1.0")));
  ASSERT_EQ(run.recorder.changes.size(), 1U);
  EXPECT_EQ(run.recorder.changes[0].reason, "bad luck");
  EXPECT_EQ(summary.workers[1].discarded_jobs, 1U);
  EXPECT_EQ(summary.updates, 2U);
}

// Its job is taken for hung at 8, ends at 9, and the worker is back with a new one.
TEST(CoordinatorOrder, AWorkerThatHangsIsBackWhenItsJobEnds) {
  FakeRun run(2, "asgd");
  run.time_out_after(5);
  run.events->end_of_job(0);
  run.events->nothing(7);
  run.events->end_of_job(1);
  run.executor->ended = {0};  // and was not heard of yet
  const RunSummary summary = run.go();
  EXPECT_THAT(run.after("loses 1, whose job goes on"),
              ElementsAre("retires 1", "begins 1.1", "hands over 1.1@1", "starts 1"));
  ASSERT_EQ(run.recorder.changes.size(), 2U);
  EXPECT_EQ(run.recorder.changes[0].time, 8);
  EXPECT_THAT(run.recorder.changes[0].reason, HasSubstr("no end of job 0 after 8 s"));
  EXPECT_FALSE(run.recorder.changes[1].lost);
  EXPECT_EQ(summary.workers[1].jobs, 0U);
}

TEST(CoordinatorOrder, WhereAllHangTheyAreGivenAsMuchTimeAgain) {
  FakeRun run(2, "asgd");
  run.time_out_after(5);
  run.events->end_of_job(0);
  run.events->end_of_job(1);
  run.events->nothing(6);  // to 8
  run.events->nothing(5);  // to 13: as much again, and not a bit more
  run.events->nothing(1);
  run.events->end_of_job(0);
  try {
    run.go();
    FAIL() << "no error";
  } catch (const WorkersLostError& error) {
    EXPECT_THAT(error.what(), HasSubstr("no gradient will arrive after time 14"));
    EXPECT_EQ(error.update(), 2U);
  }
}

// By the delay model it takes a minute, by the script a hundred times as long.
TEST(CoordinatorOrder, AWorkerThatIsToBeSlowDoesNotHang) {
  for (const bool by_script : {false, true}) {
    FakeRun run(2, "asgd");
    if (by_script) {
      run.speeds.throttle("1=100x", 2);
    } else {
      run.delays = Delays::parse("1,495", 2, 0);
    }
    run.time_out_after(5);
    run.executor->ended = {0};
    run.events->nothing(499);
    run.events->end_of_job(0);
    run.events->nothing(2);
    run.go();
    ASSERT_EQ(run.recorder.changes.size(), 1U);
    EXPECT_EQ(run.recorder.changes[0].time, 502);
  }
}

TEST(CoordinatorOrder, AJobOfALostWorkerMayEndBeforeItIsBack) {
  FakeRun run(2, "asgd");
  run.time_out_after(5);
  run.events->lost(1);
  run.executor->ended = {0};
  run.events->nothing(9);     // that job is overdue, too, of a worker that is lost already
  run.events->end_of_job(1);  // heard of while it is lost
  run.events->back(1);
  run.go();
  ASSERT_EQ(run.recorder.changes.size(), 2U);
  EXPECT_FALSE(run.recorder.changes[1].lost);
  EXPECT_THAT(run.after("retires 1"), ElementsAre("begins 1.1", "hands over 1.1@0", "starts 1"));
}

}  // namespace
}  // namespace tardigrad
