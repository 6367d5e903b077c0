// What a requested stop leaves: the newest model and a checkpoint, before evaluations that take long.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "tests/support/experiment.h"
#include "tests/support/temporary_folder.h"

namespace tardigrad {
namespace {

using ::testing::ElementsAre;
using testing::Experiment;
using testing::in_virtual_time;

/// A run in virtual time that is stopped within one of its evaluations, which are numbered from 0.
class StoppedRun {
 public:
  explicit StoppedRun(int stopped_in, std::uint64_t updates = 1000)
      : run_(2, "asgd", "1,2", limits(updates)) {
    run_.objective.in_evaluation = [this, stopped_in](const BreakOff& break_off) {
      if (number_ == stopped_in) stop_.request_stop();
      const bool gives_up = number_ >= gives_up_from_;
      ++number_;
      happened_.emplace_back("evaluation");
      break_off.check();
      if (gives_up) throw BrokenOff();
    };
    run_.options.save_first = [this](std::span<const float> model) {
      saved_.assign(model.begin(), model.end());
      happened_.emplace_back("saved");
    };
  }

  /// As if the evaluations from that one on took too long.
  void give_up_from(int evaluation) { gives_up_from_ = evaluation; }

  RunSummary go() { return run_.go(stop_.get_token()); }
  Experiment& run() { return run_; }
  const std::vector<float>& saved() const { return saved_; }
  const std::vector<std::string>& happened() const { return happened_; }

 private:
  static RunOptions limits(std::uint64_t updates) {
    RunOptions options = in_virtual_time(updates);
    options.lr = 0.25;
    options.evaluate_every_updates = 10;
    return options;
  }

  std::stop_source stop_;
  int number_ = 0;
  int gives_up_from_ = 1000;
  std::vector<float> saved_;
  std::vector<std::string> happened_;
  Experiment run_;
};

std::vector<float> model_of_update(std::uint64_t update) {
  StoppedRun run(-1, update);
  run.go();
  return run.run().model;
}

TEST(CoordinatorStop, AnEvaluationIsBrokenOffAndTheModelSavedBeforeAnother) {
  StoppedRun stopped(2);
  const RunSummary summary = stopped.go();
  EXPECT_EQ(summary.stop_reason, StopReason::interrupted);
  EXPECT_EQ(summary.updates, 20U);
  EXPECT_EQ(summary.evaluated_update, 20U) << "the last one was quick enough";
  EXPECT_THAT(stopped.happened(),
              ElementsAre("evaluation", "evaluation", "evaluation", "saved", "evaluation"));
  EXPECT_EQ(stopped.saved(), model_of_update(20));
  EXPECT_EQ(stopped.run().model, stopped.saved());
}

TEST(CoordinatorStop, ALastEvaluationThatTakesTooLongLeavesTheOneBefore) {
  StoppedRun stopped(2);
  stopped.give_up_from(3);
  const RunSummary summary = stopped.go();
  EXPECT_EQ(summary.updates, 20U);
  EXPECT_EQ(summary.evaluated_update, 10U);
  EXPECT_EQ(summary.final_evaluation.loss, static_cast<double>(model_of_update(10)[0]));
  EXPECT_EQ(stopped.saved(), model_of_update(20));
  EXPECT_EQ(stopped.run().model, stopped.saved());
  EXPECT_EQ(stopped.run().recorder.evaluations.size(), 2U);
}

TEST(CoordinatorStop, TheLastEvaluationOfARunThatIsOverIsBrokenOffToo) {
  StoppedRun stopped(2, 15);
  stopped.give_up_from(3);
  const RunSummary summary = stopped.go();
  EXPECT_EQ(summary.stop_reason, StopReason::updates);
  EXPECT_EQ(summary.updates, 15U);
  EXPECT_EQ(summary.evaluated_update, 10U);
  EXPECT_EQ(stopped.saved(), model_of_update(15));
  EXPECT_EQ(stopped.run().model, stopped.saved());
}

TEST(CoordinatorStop, ARunThatIsNotStoppedIsSavedByItsOwner) {
  StoppedRun whole(-1, 10);
  whole.go();
  EXPECT_EQ(whole.saved(), std::vector<float>());
}

TEST(CoordinatorStop, WithinTheFirstEvaluationNothingHasBegun) {
  StoppedRun stopped(0);
  EXPECT_THROW(stopped.go(), StoppedEarlyError);
  EXPECT_EQ(stopped.saved(), std::vector<float>());
  EXPECT_EQ(stopped.run().recorder.evaluations.size(), 0U);
}

TEST(CoordinatorStop, ABrokenOffLookAtTheKeptModelLeavesTheOneEvaluated) {
  StoppedRun diverges(2, 100000);
  diverges.run().options.lr = 8;  // x ← x − 8 (x − i)
  diverges.run().options.evaluate_every_updates.reset();
  diverges.run().options.keep_model_every = 1;
  diverges.give_up_from(1);
  try {
    diverges.go();
    FAIL() << "it does not diverge";
  } catch (const NotFiniteError& error) {
    EXPECT_EQ(error.update(), 0U);
  }
}

/// Evaluations by updates, and by time.
class StoppedAndResumed : public ::testing::TestWithParam<bool> {};

TEST_P(StoppedAndResumed, TheEvaluationIsMadeWhereItWasBrokenOff) {
  const TemporaryFolder folder;
  const auto set_up = [&](Experiment& run) {
    if (!GetParam()) return;
    run.options.evaluate_every_updates.reset();
    run.options.evaluate_every_time = 2.5;
  };
  StoppedRun whole(-1, 40);
  set_up(whole.run());
  whole.go();

  StoppedRun stopped(2, 40);
  set_up(stopped.run());
  stopped.give_up_from(3);
  stopped.run().options.checkpoints.folder = folder.path();
  stopped.run().options.checkpoints.run_json = "{}";
  stopped.go();
  const auto checkpoints = CheckpointFolder::list(folder.path());
  ASSERT_EQ(checkpoints.size(), 1U);

  StoppedRun rest(-1, 40);
  set_up(rest.run());
  rest.run().checkpoint = checkpoints.front();
  rest.go();
  EXPECT_EQ(rest.run().model, whole.run().model);
  std::vector<EvaluationRecord> evaluations = stopped.run().recorder.evaluations;
  const auto& later = rest.run().recorder.evaluations;
  evaluations.insert(evaluations.end(), later.begin(), later.end());
  const auto& expected = whole.run().recorder.evaluations;
  ASSERT_EQ(evaluations.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(evaluations[i].update, expected[i].update);
    EXPECT_EQ(evaluations[i].time, expected[i].time);
    EXPECT_EQ(evaluations[i].evaluation.loss, expected[i].evaluation.loss);
    EXPECT_EQ(evaluations[i].train_loss, expected[i].train_loss);
  }
}

INSTANTIATE_TEST_SUITE_P(ByTime, StoppedAndResumed, ::testing::Bool());

TEST(BreakOff, IsDueByAStopOrInTime) {
  EXPECT_FALSE(BreakOff().due());
  std::stop_source stop;
  const BreakOff by_stop(stop.get_token());
  EXPECT_NO_THROW(by_stop.check());
  stop.request_stop();
  EXPECT_THROW(by_stop.check(), BrokenOff);
  EXPECT_TRUE(BreakOff(BreakOff::Clock::now()).due());
  EXPECT_FALSE(BreakOff(BreakOff::Clock::now() + std::chrono::hours(1)).due());
}

}  // namespace
}  // namespace tardigrad
