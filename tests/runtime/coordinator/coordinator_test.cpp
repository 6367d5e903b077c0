#include "runtime/coordinator/coordinator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <limits>
#include <thread>

#include "tests/support/experiment.h"
#include "tests/support/gate.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;

TEST(Coordinator, AsgdInVirtualTimeByHand) {
  Experiment run(2, "asgd", "2,3", in_virtual_time(4));
  const RunSummary summary = run.go();
  EXPECT_EQ(run.sequence(), (Sequence{{2, 0, 0}, {3, 1, 1}, {4, 0, 1}, {6, 0, 0}}));
  // x: 0 →(g = 0) 0 →(g = −1 at x⁰) ½ →(g = 0 at x¹) ½ →(g = ½ at x³) ¼
  EXPECT_EQ(run.model[0], 0.25F);
  EXPECT_EQ(summary.gradients, 4U);
  EXPECT_EQ(summary.staleness_max, 1U);
  EXPECT_EQ(summary.workers[0].jobs, 3U);
  EXPECT_EQ(summary.workers[0].mean_compute_time, 2);
  EXPECT_EQ(summary.workers[1].busy_share, 1);
}

TEST(Coordinator, SyncWaitsForTheSlowest) {
  Experiment run(2, "sync", "2,3", in_virtual_time(2));
  const RunSummary summary = run.go();
  EXPECT_EQ(run.sequence(), (Sequence{{3, 1, 0}, {6, 1, 0}}));
  EXPECT_EQ(run.model[0], 0.375F);  // x ← x − ½ (x − ½), twice
  EXPECT_EQ(summary.gradients, 4U);
  EXPECT_DOUBLE_EQ(summary.workers[0].busy_share, 4.0 / 6);
}

TEST(Coordinator, DudeInVirtualTimeByHand) {
  Experiment run(2, "dude", "1,2", in_virtual_time(4));
  run.go();
  EXPECT_EQ(run.sequence(), (Sequence{{2, 1, 0}, {3, 0, 0}, {4, 0, 0}, {4, 1, 2}}));
  // rows (0, −1): x¹ = ¼; (¼, −1): x² = 7/16; (7/16, −1): x³ = 37/64; (7/16, −¾): x⁴ = 37/64 + 5/64
  EXPECT_EQ(run.model[0], 42.0F / 64);
}

TEST(Coordinator, TheLossIsThatOfTheWorkersMinibatch) {
  Experiment run(2, "asgd", "2,3", in_virtual_time(2));
  run.go();
  EXPECT_EQ(run.recorder.updates[0].loss, 0);
  EXPECT_EQ(run.recorder.updates[1].loss, 0.5F);
  EXPECT_EQ(run.recorder.updates[1].lr, 0.5);
}

// The slow worker stands at a gate for the whole run: nobody waits for it, and its job counts as in flight.
TEST(Coordinator, InWallTimeNobodyWaitsForAWorkerThatStandsStill) {
  Gate gate;
  Experiment run(3, "asgd", "measured", in_wall_time(500));
  run.objective.in_gradient = [&](int worker, std::uint64_t) {
    if (worker == 1) gate.pass()();
  };
  // The run ends, then waits for the job in flight: the last update opens the gate.
  class Opener final : public RunObserver {
   public:
    explicit Opener(Gate& g) : gate(g) {}
    void on_update(const UpdateRecord& record) override {
      if (record.update == 500) gate.open();
    }
    Gate& gate;
  } open(gate);
  run.observers = {&open};
  const RunSummary summary = run.go();
  EXPECT_EQ(summary.updates, 500U);
  EXPECT_EQ(summary.workers[1].jobs, 0U);
  EXPECT_EQ(summary.workers[0].jobs + summary.workers[2].jobs, 500U);
}

// Nobody gets more than 50 jobs ahead of the worker that the machine gives the least time.
TEST(Coordinator, DudeInWallTimeMeetsTheMeanOfAll) {
  Experiment run(4, "dude", "measured", in_wall_time(3000));
  run.options.lr = 0.02;
  std::array<std::atomic<std::uint64_t>, 4> begun{};
  std::atomic<bool> over = false;
  run.objective.in_gradient = [&](int worker, std::uint64_t job) {
    begun.at(static_cast<std::size_t>(worker)) = job;
    const auto is_ahead = [job](const auto& other) { return job > other + 50; };
    while (!over && std::ranges::any_of(begun, is_ahead)) std::this_thread::yield();
  };
  class End final : public RunObserver {
   public:
    explicit End(std::atomic<bool>& over) : over_(over) {}
    void on_update(const UpdateRecord& record) override {
      if (record.update == 3000) over_ = true;
    }

   private:
    std::atomic<bool>& over_;
  } end(over);
  run.observers = {&end};
  run.go();
  // The fixed point of x ← x − γ mean(x − i) is 1.5; with delays of a few updates the iteration has long
  // converged.
  EXPECT_NEAR(run.model[0], 1.5, 1e-3);
  EXPECT_EQ(run.recorder.updates.size(), 3000U);
}

TEST(Coordinator, ThrottlesStretchJobsToTheirTime) {
  Experiment run(2, "asgd", "1,1e6", in_wall_time(50));
  run.options.time_unit_s = 2e-3;
  const RunSummary summary = run.go();  // does not wait the 2000 s of worker 1
  EXPECT_EQ(summary.workers[0].jobs, 50U);
  EXPECT_EQ(summary.workers[1].jobs, 0U);
  EXPECT_GE(summary.workers[0].mean_compute_time, 2e-3);
  EXPECT_GE(summary.train_time_s, 50 * 2e-3);
  EXPECT_GT(summary.workers[1].busy_share, 0.9);
}

TEST(Coordinator, StopsAtEachKindOfLimit) {
  RunOptions options = in_virtual_time(100);
  options.time_limit = 4.5;
  Experiment timed(2, "asgd", "1,2", options);
  const RunSummary by_time = timed.go();
  EXPECT_EQ(by_time.stop_reason, StopReason::time_limit);
  EXPECT_EQ(by_time.updates, 6U);
  EXPECT_EQ(by_time.time, 4.5);

  options = in_virtual_time(100);
  options.max_gradients = 5;
  Experiment counted(2, "sync", "1,2", options);
  const RunSummary by_gradients = counted.go();
  EXPECT_EQ(by_gradients.stop_reason, StopReason::gradients);
  EXPECT_EQ(by_gradients.gradients, 5U);
  EXPECT_EQ(by_gradients.updates, 2U);

  options = in_virtual_time(100);
  options.target_accuracy = 0.45;  // Pull's accuracy is a tenth of the number of evaluations
  options.evaluate_every_updates = 10;
  Experiment target(2, "asgd", "1,2", options);
  const RunSummary by_accuracy = target.go();
  EXPECT_EQ(by_accuracy.stop_reason, StopReason::target_accuracy);
  EXPECT_EQ(by_accuracy.updates, 40U);
}

TEST(Coordinator, AStopRequestEndsTheRunWithASummary) {
  std::stop_source stop;
  Experiment run(2, "asgd", "1,2", in_virtual_time(1U << 30));
  run.objective.in_gradient = [&](int, std::uint64_t job) {
    if (job == 20) stop.request_stop();
  };
  const RunSummary summary = run.go(stop.get_token());
  EXPECT_EQ(summary.stop_reason, StopReason::interrupted);
  EXPECT_EQ(run.recorder.summary.updates, summary.updates);
  EXPECT_GE(summary.updates, 16U);
}

TEST(Coordinator, EvaluatesFirstLastAndInBetween) {
  RunOptions options = in_virtual_time(5);
  options.evaluate_every_updates = 2;
  Experiment by_updates(1, "asgd", "1", options);
  by_updates.go();
  std::vector<std::uint64_t> updates;
  for (const auto& evaluation : by_updates.recorder.evaluations) updates.push_back(evaluation.update);
  EXPECT_EQ(updates, (std::vector<std::uint64_t>{0, 2, 4, 5}));

  options = in_virtual_time(1000);
  options.time_limit = 7;
  options.evaluate_every_time = 2.5;
  Experiment by_time(1, "asgd", "1", options);
  by_time.go();
  std::vector<double> times;
  for (const auto& evaluation : by_time.recorder.evaluations) times.push_back(evaluation.time);
  EXPECT_EQ(times, (std::vector<double>{0, 2.5, 5, 7}));
}

// 97 · 2.64 / 2.64 is less than 97 in floating point.
TEST(Coordinator, EvaluatesOnceAPeriodWhateverTheRounding) {
  RunOptions options = in_virtual_time(1000);
  options.time_limit = 97.5 * 2.64;
  options.evaluate_every_time = 2.64;
  Experiment run(1, "asgd", "1", options);
  run.go();
  EXPECT_EQ(run.recorder.evaluations.size(), 1U + 97U + 1U);  // and the first and the last
}

TEST(Coordinator, ALossThatIsNotFiniteEndsTheRun) {
  RunOptions options = in_virtual_time(100000);
  options.lr = 8;  // x ← x − 8 (x − i) diverges
  Experiment run(2, "asgd", "1,1", options);
  EXPECT_THROW(run.go(), NotFiniteError);
}

/// The third job of worker 1 throws, which ends a run in virtual time; returns the update that is left. In
/// wall time the run goes on without it (coordinator_lost_workers_test.cpp).
std::uint64_t lose_worker_1(Experiment& run) {
  run.objective.in_gradient = [](int worker, std::uint64_t job) {
    if (worker == 1 && job == 3) throw std::runtime_error("bad luck");
  };
  try {
    run.go();
  } catch (const DeviceLostError& lost) {
    EXPECT_THAT(lost.what(), ::testing::HasSubstr("bad luck"));
    EXPECT_THAT(lost.what(), ::testing::HasSubstr("worker"));
    return lost.update();
  }
  ADD_FAILURE() << "no error";
  return 0;
}

TEST(Coordinator, WhatAFailedWorkerLeavesIsTheModelOfTheUpdatesBefore) {
  Experiment lost(2, "dude", "1,1", in_virtual_time(1U << 20), 1);
  const std::uint64_t update = lose_worker_1(lost);
  ASSERT_GE(update, 6U);
  Experiment whole(2, "dude", "1,1", in_virtual_time(update), 1);
  whole.go();
  EXPECT_EQ(lost.model, whole.model);
}

TEST(Coordinator, AWorkerThatFailsOnOneOfSeveralThreadsEndsTheRunToo) {
  Experiment lost(2, "dude", "1,1", in_virtual_time(1U << 20), 3);
  EXPECT_GE(lose_worker_1(lost), 1U);
}

}  // namespace
}  // namespace tardigrad
