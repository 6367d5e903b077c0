// Workers that throw and hang in wall time, as the coordinator sees it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

#include "tests/support/experiment.h"
#include "tests/support/gate.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;
using ::testing::AllOf;
using ::testing::HasSubstr;

class ListenerToLosses final : public RunObserver {
 public:
  void on_arrival(const JobRecord& record) override {
    if (arrival) arrival(record);
  }
  void on_worker_change(const WorkerChange& record) override {
    if (change) change(record);
  }
  std::function<void(const JobRecord&)> arrival;
  std::function<void(const WorkerChange&)> change;
};

/// A run of asgd that ends when the test has seen enough. Its coordinator is kept until the gate is open.
struct LosingRun : Experiment {
  explicit LosingRun(int workers, Completions completions = Completions::callback)
      : Experiment(workers, "asgd", "measured", in_wall_time(1U << 30)) {
    options.lr = 0.01;
    options.completions = completions;
    observers = {&recorder, &listener};
  }
  ~LosingRun() {
    gate.open();
    coordinator.reset();
  }

  RunSummary run() {
    method = make_method(method_name, method_options);
    coordinator = std::make_unique<Coordinator>(
        objective, *method, make_execution(objective, method->memory(), delays, speeds, cpus, options),
        options, observers);
    return coordinator->run(model, enough.get_token());
  }

  /// Those of the workers stand in the gate from their job on.
  void hang(std::vector<int> workers, std::uint64_t from_job) {
    objective.in_gradient = [this, workers, from_job](int worker, std::uint64_t job) {
      if (job < from_job || std::find(workers.begin(), workers.end(), worker) == workers.end()) return;
      gate.pass()();
    };
    options.worker_timeout_s = 1;  // longer than a machine stalls, mostly
  }

  Gate gate;
  std::stop_source enough;
  ListenerToLosses listener;
  std::unique_ptr<Method> method;
  std::unique_ptr<Coordinator> coordinator;
};

class LostWorkers : public ::testing::TestWithParam<Completions> {};

TEST_P(LostWorkers, OneThatThrowsIsTakenOutForGood) {
  LosingRun run(3, GetParam());
  run.objective.in_gradient = [](int worker, std::uint64_t job) {
    if (worker == 1 && job == 3) throw std::runtime_error("bad luck");
  };
  int arrivals_since = 0;
  run.listener.arrival = [&](const JobRecord& record) {
    if (run.recorder.changes.empty()) return;
    EXPECT_NE(record.worker, 1);
    if (++arrivals_since == 100) run.enough.request_stop();
  };
  const RunSummary summary = run.run();
  EXPECT_EQ(summary.stop_reason, StopReason::interrupted);
  ASSERT_EQ(run.recorder.changes.size(), 1U);
  const WorkerChange& change = run.recorder.changes.front();
  EXPECT_TRUE(change.lost);
  EXPECT_EQ(change.worker, 1);
  EXPECT_THAT(change.reason, AllOf(HasSubstr("job 3 of worker 1 is lost"), HasSubstr("bad luck")));
  EXPECT_EQ(summary.workers[1].jobs, 3U);
  EXPECT_EQ(summary.workers[1].discarded_jobs, 1U);
  EXPECT_FALSE(run.coordinator->hung());
}

TEST_P(LostWorkers, WhereAllThrowTheNewestModelIsLeft) {
  LosingRun run(3, GetParam());
  run.objective.in_gradient = [](int worker, std::uint64_t job) {
    if (job == 2 + static_cast<std::uint64_t>(worker)) throw std::runtime_error("bad luck");
  };
  try {
    run.run();
    FAIL() << "no error";
  } catch (const WorkersLostError& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("worker 0 (job 2"), HasSubstr("worker 2 (job 4")));
    EXPECT_EQ(error.update(), 2U + 3U + 4U);
  }
  EXPECT_EQ(run.recorder.updates.size(), 9U);
  EXPECT_NE(run.model, std::vector<float>(Pull::dimension));
}

// It stands in its fourth job, is taken out, and comes back when that has ended. Where the machine stalls
// others are taken out, too, and so may it be for another job.
TEST_P(LostWorkers, OneThatHangsIsBackWhenItsJobEnds) {
  LosingRun run(3, GetParam());
  run.hang({1}, 3);
  std::vector<WorkerChange> changes;      // of worker 1, from that job on
  std::uint64_t losses = 0;               // of worker 1
  std::vector<std::uint64_t> jobs_after;  // of worker 1, after that
  run.listener.change = [&](const WorkerChange& change) {
    if (change.worker != 1) return;
    losses += change.lost ? 1 : 0;
    const bool by_the_gate = change.lost && change.reason.find("no end of job 3 after") != std::string::npos;
    if (by_the_gate) run.gate.open();
    if (by_the_gate || !changes.empty()) changes.push_back(change);
  };
  run.listener.arrival = [&](const JobRecord& record) {
    if (changes.empty() || record.worker != 1) return;
    EXPECT_FALSE(changes.back().lost) << "an arrival of a lost worker";
    jobs_after.push_back(record.job);
    if (jobs_after.size() == 5) run.enough.request_stop();
  };
  const RunSummary summary = run.run();
  ASSERT_GE(changes.size(), 2U);
  EXPECT_THAT(changes[0].reason, HasSubstr("1 s by --worker-timeout"));
  EXPECT_FALSE(changes[1].lost);
  ASSERT_EQ(jobs_after.size(), 5U);
  EXPECT_EQ(jobs_after.back(), 3 + 5 + (changes.size() - 2) / 2) << "one number for each that is thrown away";
  EXPECT_GE(jobs_after.front(), 4U);
  EXPECT_EQ(summary.workers[1].discarded_jobs, losses);
  EXPECT_FALSE(run.coordinator->hung());
}

TEST_P(LostWorkers, TheEndOfARunDoesNotWaitForOneThatHangs) {
  LosingRun run(3, GetParam());
  run.hang({1}, 3);
  run.listener.change = [&](const WorkerChange& change) {
    if (change.worker == 1) run.enough.request_stop();
  };
  const RunSummary summary = run.run();
  EXPECT_EQ(summary.stop_reason, StopReason::interrupted);
  EXPECT_TRUE(run.coordinator->hung());
  EXPECT_EQ(run.recorder.evaluations.back().update, summary.updates);
}

// Nor for one that was not found to hang before.
TEST_P(LostWorkers, AtTheEndOfARunJobsHaveTheirTimeOut) {
  LosingRun run(2, GetParam());
  run.hang({1}, 0);
  std::atomic<bool> standing = false;  // a job that has not begun is left out at once
  run.objective.in_gradient = [&, hang = run.objective.in_gradient](int worker, std::uint64_t job) {
    if (worker == 1) {
      standing = true;
      standing.notify_all();
    } else {
      standing.wait(false);
    }
    hang(worker, job);
  };
  run.options.max_updates = 20;
  const RunSummary summary = run.run();
  EXPECT_EQ(summary.updates, 20U);
  EXPECT_TRUE(run.coordinator->hung());
}

INSTANTIATE_TEST_SUITE_P(Completions, LostWorkers,
                         ::testing::Values(Completions::polling, Completions::callback),
                         [](const auto& tested) { return completions_name(tested.param); });

}  // namespace
}  // namespace tardigrad
