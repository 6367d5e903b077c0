// Workers that slow down, fail and come back, as the coordinator sees it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <tuple>

#include "tests/support/experiment.h"
#include "tests/support/temporary_file.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;
using ::testing::AllOf;
using ::testing::HasSubstr;

/// "slowdown = 3" or "state = \"failed\"", and when, of which worker.
struct EventOfScript {
  double time;
  int worker;
  std::string what;
};

class Events : public ::testing::Test {
 protected:
  EventScript script(const std::vector<EventOfScript>& events, int workers) const {
    std::string text;
    for (const auto& [time, worker, what] : events) {
      text += "[[event]]\ntime = " + std::to_string(time) + "\nworker = " + std::to_string(worker) + "\n" +
              what + "\n";
    }
    return EventScript::read(file_.write(text), workers);
  }

  static constexpr const char* failed = "state = \"failed\"";
  static constexpr const char* working = "state = \"working\"";

  TemporaryFile file_;
};

TEST_F(Events, WorkersThatSlowDownAndRecoverChangeTheTimesExactly) {
  Experiment run(2, "asgd", "2,3", in_virtual_time(10));
  run.speeds = script({{5, 0, "slowdown = 4"}, {14, 0, "slowdown = 1"}}, 2);
  const RunSummary summary = run.go();
  EXPECT_EQ(run.sequence(), (Sequence{{2, 0, 0},
                                      {3, 1, 1},
                                      {4, 0, 1},
                                      {6, 1, 1},
                                      {9, 0, 1},
                                      {9, 1, 1},
                                      {12, 1, 0},
                                      {14.75, 0, 2},
                                      {15, 1, 1},
                                      {16.75, 0, 1}}));
  EXPECT_EQ(summary.workers[0].mean_compute_time, 16.75 / 5);
  EXPECT_EQ(summary.workers[0].busy_share, 1);
}

// Its job that would have ended at 6 is thrown away at 4, and it begins anew at 10.
TEST_F(Events, AWorkerThatFailsIsOutOfTheRunUntilItIsBack) {
  Experiment run(2, "asgd", "2,3", in_virtual_time(8));
  run.speeds = script({{4, 1, failed}, {10, 1, working}}, 2);
  const RunSummary summary = run.go();
  EXPECT_EQ(
      run.sequence(),
      (Sequence{{2, 0, 0}, {3, 1, 1}, {4, 0, 1}, {6, 0, 0}, {8, 0, 0}, {10, 0, 0}, {12, 0, 0}, {13, 1, 1}}));
  ASSERT_EQ(run.recorder.changes.size(), 2U);
  const WorkerChange& lost = run.recorder.changes[0];
  EXPECT_TRUE(lost.lost);
  EXPECT_EQ(std::tuple(lost.worker, lost.time, lost.update), std::tuple(1, 4.0, 3U));
  EXPECT_EQ(lost.reason, "as --events says");
  const WorkerChange& back = run.recorder.changes[1];
  EXPECT_FALSE(back.lost);
  EXPECT_EQ(std::tuple(back.worker, back.time, back.update), std::tuple(1, 10.0, 6U));
  ASSERT_EQ(run.recorder.discards.size(), 1U);
  EXPECT_EQ(run.recorder.discards[0].time, 4);
  EXPECT_EQ(run.recorder.discards[0].compute_time, 1);
  EXPECT_EQ(summary.workers[1].jobs, 2U);
  EXPECT_EQ(summary.workers[1].discarded_jobs, 1U);
  EXPECT_EQ(summary.workers[1].discarded_share, 1.0 / 7);
  EXPECT_EQ(summary.workers[1].busy_share, 7.0 / 13);
}

TEST_F(Events, AJobThatEndsAsItsWorkerFailsHasEnded) {
  Experiment run(2, "asgd", "2,3", in_virtual_time(6));
  run.speeds = script({{6, 1, failed}}, 2);
  run.go();
  EXPECT_EQ(run.sequence(), (Sequence{{2, 0, 0}, {3, 1, 1}, {4, 0, 1}, {6, 0, 0}, {6, 1, 2}, {8, 0, 1}}));
}

// What is computed by several threads, or by one, gives the same bits.
TEST_F(Events, LossesAreRepeatable) {
  const auto model = [&](int devices) {
    Experiment run(4, "asgd", "linear:1:1+halfnormal", in_virtual_time(300), devices);
    run.objective.noise = 0.01F;
    run.speeds = script({{7, 2, failed}, {9, 0, failed}, {20, 2, working}, {50, 3, failed}}, 4);
    run.go();
    EXPECT_EQ(run.recorder.changes.size(), 4U);
    return run.model;
  };
  EXPECT_EQ(model(1), model(3));
}

TEST_F(Events, WhereAllAreLostTheRunWaitsForOneThatIsToComeBack) {
  Experiment run(2, "asgd", "2,3", in_virtual_time(4));
  run.speeds = script({{2.5, 0, failed}, {4, 1, failed}, {100, 0, working}}, 2);
  run.go();
  EXPECT_EQ(run.sequence(), (Sequence{{2, 0, 0}, {3, 1, 1}, {102, 0, 0}, {104, 0, 0}}));
}

TEST_F(Events, ARunWhoseWorkersAreAllLostEndsWithTheNewestModel) {
  RunOptions options = in_virtual_time(10);
  for (const double time_limit : {EventSource::never, 50.0}) {
    options.time_limit = time_limit;
    Experiment run(2, "asgd", "2,3", options);
    run.speeds = script({{2.5, 0, failed}, {4, 1, failed}}, 2);
    try {
      run.go();
      FAIL() << "no error";
    } catch (const WorkersLostError& error) {
      EXPECT_THAT(error.what(),
                  HasSubstr("lost are worker 0 (as --events says), worker 1 (as --events says)"));
      EXPECT_EQ(error.update(), 2U);
    }
    EXPECT_EQ(run.recorder.updates.size(), 2U);
    Experiment whole(2, "asgd", "2,3", in_virtual_time(2));
    whole.go();
    EXPECT_EQ(run.model, whole.model);
  }
}

TEST_F(Events, ManyLostWorkersAreCounted) {
  Experiment run(5, "asgd", "2,2,2,2,2", in_virtual_time(10));
  run.speeds = script({{1, 0, failed}, {1, 1, failed}, {1, 2, failed}, {1, 3, failed}, {1, 4, failed}}, 5);
  try {
    run.go();
    FAIL() << "no error";
  } catch (const WorkersLostError& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("after time 1:"), HasSubstr("and 2 more")));
  }
}

TEST_F(Events, InWallTimeARunWhoseWorkersAreAllLostEnds) {
  Experiment run(2, "asgd", "1,1", in_wall_time(1U << 20));
  run.options.time_unit_s = 1e-3;
  run.speeds = script({{0, 1, failed}, {300, 0, failed}}, 2);  // longer than a machine stalls
  EXPECT_THROW(run.go(), WorkersLostError);
  EXPECT_GT(run.recorder.updates.size(), 0U);
}

// Stretched to hours, what they were at when they failed is cut short.
TEST_F(Events, InWallTimeOthersGoOn) {
  for (const Completions completions : {Completions::polling, Completions::callback}) {
    Experiment run(3, "asgd", "1,1e8,1", in_wall_time(20));
    run.options.completions = completions;
    run.options.time_unit_s = 1e-4;
    run.speeds = script({{0, 1, failed}}, 3);
    const RunSummary summary = run.go();
    EXPECT_EQ(summary.updates, 20U);
    EXPECT_EQ(summary.workers[1].jobs, 0U);
    EXPECT_EQ(summary.workers[1].discarded_jobs, 1U);
  }
}

TEST_F(Events, InWallTimeAWorkerComesBack) {
  for (const Completions completions : {Completions::polling, Completions::callback}) {
    Experiment run(2, "asgd", "1,1", in_wall_time(1U << 20));
    run.options.completions = completions;
    run.options.time_unit_s = 1e-4;
    run.speeds = script({{50, 1, failed}, {100, 1, working}}, 2);
    // Ends when the worker has arrived again.
    std::stop_source enough;
    struct Watch final : RunObserver {
      explicit Watch(std::stop_source& stop) : enough(stop) {}
      void on_worker_change(const WorkerChange& change) override { ++(change.lost ? losses : returns); }
      void on_arrival(const JobRecord& record) override {
        if (record.worker != 1) return;
        EXPECT_EQ(losses, returns);
        if (returns == 1) enough.request_stop();
      }
      std::stop_source& enough;
      int losses = 0;
      int returns = 0;
    } watch(enough);
    run.observers = {&watch};
    EXPECT_EQ(run.go(enough.get_token()).stop_reason, StopReason::interrupted);
    EXPECT_EQ(watch.returns, 1);
    EXPECT_EQ(run.recorder.changes.front().time, 50 * 1e-4);
  }
}

TEST_F(Events, DudeGoesOnWithTheLatestGradientOfALostWorker) {
  Experiment run(2, "dude", "1,2", in_virtual_time(200));
  run.speeds = script({{5, 1, failed}}, 2);
  const RunSummary summary = run.go();
  EXPECT_EQ(summary.updates, 200U);
  EXPECT_EQ(summary.workers[1].jobs, 2U);
  // Worker 1's row stays what it was at update 1, when x was ¼: ¼ − 1. Along ½ (x − ¾) the model goes to ¾.
  EXPECT_NEAR(run.model[0], 0.75, 1e-6);  // floats near 1 are 1e-7 apart
}

// Stretched by a slowdown of 1000, worker 1 does next to nothing in the time of the run.
TEST_F(Events, InWallTimeThrottlesFollowTheScript) {
  Experiment run(2, "asgd", "1,1", in_wall_time(20));
  run.options.time_unit_s = 1e-3;
  run.speeds = script({{0, 1, "slowdown = 100000"}}, 2);
  const RunSummary summary = run.go();
  EXPECT_EQ(summary.workers[0].jobs, 20U);
  EXPECT_EQ(summary.workers[1].jobs, 0U);
}

// Also where jobs take what they take.
TEST_F(Events, MeasuredJobsAreStretchedByTheScriptToo) {
  Experiment run(2, "asgd", "measured", in_wall_time(200));
  run.speeds = script({{0, 1, failed}}, 2);
  const RunSummary summary = run.go();
  EXPECT_EQ(summary.workers[0].jobs, 200U);
  EXPECT_EQ(summary.workers[1].jobs, 0U);
}

}  // namespace
}  // namespace tardigrad
