// Jobs thrown away in wall time: they take their workers' time until they end, and nobody else's.

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <semaphore>

#include "tests/support/experiment.h"
#include "tests/support/gate.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;

/// Calls back when an arrival or the end of a discarded job is heard of.
class ListenerToEnds final : public RunObserver {
 public:
  void on_arrival(const JobRecord& record) override {
    if (arrival) arrival(record);
  }
  void on_discarded_over(int worker, double time) override {
    if (discarded_over) discarded_over(worker, time);
  }
  std::function<void(const JobRecord&)> arrival;
  std::function<void(int worker, double time)> discarded_over;
};

/// A run in which jobs can be held, and which ends when the test has seen enough.
struct Held : Experiment {
  Held(int workers, const std::string& method, const std::string& compute_time = "measured")
      : Experiment(workers, method, compute_time, in_wall_time(100000)) {
    options.lr = 0.01;
    observers = {&listener};
  }
  ~Held() { gate.open(); }

  RunSummary go_until_stopped() {
    const RunSummary summary = go(enough.get_token());
    EXPECT_EQ(summary.stop_reason, StopReason::interrupted) << "what the test waits for never came";
    return summary;
  }

  /// To be called from the listener. What is held must not keep the run from ending.
  void stop() {
    enough.request_stop();
    gate.open();
  }

  Gate gate;
  std::stop_source enough;
  ListenerToEnds listener;
};

// Worker 1 stands in its first job, which is thrown away at version 10 and, as far as the method knows, begun
// anew then and at 20. It ends at 25 only: the worker goes on with that model, and its next job may become 9
// versions old.
TEST(DiscardedJobs, RingmasterRestartsAWorkerOnTheNewestModelWhenItsOldJobHasEnded) {
  Held run(2, "ringmaster");
  run.method_options.delay_threshold = 10;
  std::counting_semaphore<1000> gradients_of_0(0);
  Gate second_job;
  run.objective.in_gradient = [&](int worker, std::uint64_t job) {
    if (worker == 0) {
      gradients_of_0.acquire();
    } else if (job == 0) {
      gradients_of_0.release(25);
      run.gate.pass()();
    } else if (job == 1) {
      second_job.pass()();
    }
  };
  int arrivals = 0;  // each an update
  std::vector<JobRecord> of_1;
  run.listener.discarded_over = [&](int worker, double) {
    EXPECT_EQ(worker, 1);
    EXPECT_EQ(arrivals, 25);
    gradients_of_0.release(7);
  };
  run.listener.arrival = [&](const JobRecord& record) {
    ++arrivals;
    if (arrivals == 25) run.gate.open();
    if (arrivals == 25 + 7) second_job.open();
    if (record.worker == 1) of_1.push_back(record);
    if (of_1.size() < 2) return;
    gradients_of_0.release(100);
    run.stop();
  };
  const RunSummary summary = run.go_until_stopped();
  ASSERT_EQ(of_1.size(), 2u);
  EXPECT_EQ(of_1[0].job, 1u);
  EXPECT_EQ(of_1[0].version, 25u);
  EXPECT_EQ(of_1[1].job, 2u);
  EXPECT_EQ(of_1[1].version, 25u + 7 + 1);  // handed over at its own arrival, and only once
  EXPECT_EQ(summary.workers[1].discarded_jobs, 1u);
  EXPECT_GT(summary.workers[1].discarded_share, 0);
  EXPECT_LT(summary.workers[1].discarded_share, 1);
  EXPECT_GT(summary.discarded_share, 0);
}

// Worker 0 stands in its second job while worker 1's first completes the round. The update is made at once,
// and worker 1 goes on at the new model for as long as worker 0 stands.
TEST(DiscardedJobs, MaleniaMakesItsUpdateWithoutTheJobThatItThrowsAway) {
  Held run(2, "malenia");
  std::atomic<bool> standing = false;
  run.objective.in_gradient = [&](int worker, std::uint64_t job) {
    if (worker == 0 && job == 1) {
      standing = true;
      standing.notify_all();
      run.gate.pass()();
    }
    if (worker == 1 && job == 0) standing.wait(false);
  };
  int of_1_at_version_1 = 0;
  bool ended = false;
  run.listener.discarded_over = [&](int worker, double) {
    EXPECT_EQ(worker, 0);
    ended = true;
  };
  run.listener.arrival = [&](const JobRecord& record) {
    if (record.worker == 1 && record.version == 1 && ++of_1_at_version_1 == 50) run.gate.open();
    if (record.worker != 0 || record.version == 0) return;
    EXPECT_TRUE(ended);
    EXPECT_EQ(record.job, 2u);
    EXPECT_EQ(record.version, 1u);
    run.stop();
  };
  const RunSummary summary = run.go_until_stopped();
  EXPECT_GE(of_1_at_version_1, 50);
  EXPECT_EQ(summary.workers[0].discarded_jobs, 1u);
  EXPECT_EQ(summary.updates, 2u);
}

// With three workers and batches of two, worker 2 is thrown away round after round while it stands, which
// counts once: it has begun only one job.
TEST(DiscardedJobs, RennalaDoesNotWaitForAWorkerThatStands) {
  Held run(3, "rennala");
  run.method_options.gather = 2;
  std::atomic<bool> standing = false;  // a job that has not begun is left out at once
  run.objective.in_gradient = [&](int worker, std::uint64_t job) {
    if (worker == 2 && job == 0) {
      standing = true;
      standing.notify_all();
      run.gate.pass()();
    }
    if (worker != 2 && job == 0) standing.wait(false);
  };
  run.listener.arrival = [&](const JobRecord& record) {
    EXPECT_NE(record.worker, 2);
    if (record.version == 40) run.stop();
  };
  const RunSummary summary = run.go_until_stopped();
  EXPECT_GE(summary.updates, 40u);
  EXPECT_EQ(summary.workers[2].jobs, 0u);
  EXPECT_EQ(summary.workers[2].discarded_jobs, 1u);
  EXPECT_EQ(summary.workers[2].discarded_share, 1);
}

// A job that the throttle stretches to hours is cut short: its worker begins again and again.
TEST(DiscardedJobs, StretchedJobsAreCutShort) {
  Held run(3, "rennala", "1,1,1e8");
  run.method_options.gather = 2;
  run.options.time_unit_s = 1e-4;
  std::map<int, std::uint64_t> ended;
  run.listener.discarded_over = [&](int worker, double) {
    if (++ended[worker] == 5 && worker == 2) run.stop();
  };
  const RunSummary summary = run.go_until_stopped();
  EXPECT_LT(summary.time, 1e8 * 1e-4 / 10);  // nobody waited
  EXPECT_EQ(summary.workers[2].jobs, 0u);
  EXPECT_GE(summary.workers[2].discarded_jobs, 5u);
}

// Each model is queued at one worker, and comes back as its next but so many gradients.
TEST(QueuedJobs, InWallTimeEachWorkerEmptiesItsQueueInOrder) {
  constexpr int workers = 4;
  constexpr std::uint64_t updates = 3000;
  for (const char* method : {"asgd-uniform", "asgd-shuffled"}) {
    SCOPED_TRACE(method);
    Experiment run(workers, method, "measured", in_wall_time(updates));
    run.options.lr = 0.01;
    const RunSummary summary = run.go();
    ASSERT_EQ(run.recorder.arrivals.size(), updates);

    std::map<int, std::vector<std::uint64_t>> versions;  // by worker, in the order of arrival
    for (const JobRecord& arrival : run.recorder.arrivals) {
      std::vector<std::uint64_t>& of_worker = versions[arrival.worker];
      EXPECT_EQ(arrival.job, of_worker.size());
      if (!of_worker.empty()) {
        EXPECT_GT(arrival.version, of_worker.back());
      }
      of_worker.push_back(arrival.version);
    }
    std::map<std::uint64_t, int> uses;
    for (const auto& [worker, of_worker] : versions) {
      for (const std::uint64_t version : of_worker) ++uses[version];
    }
    EXPECT_EQ(uses[0], workers);
    for (const auto& [version, count] : uses) {
      EXPECT_TRUE(version == 0 || count == 1) << version;
    }
    // Four jobs are outstanding always; by a worker's chance to be drawn, half of the mean is far off.
    for (const WorkerRecord& worker : summary.workers) EXPECT_GT(worker.jobs, updates / workers / 2);
    EXPECT_EQ(summary.discarded_share, 0);
  }
}

}  // namespace
}  // namespace tardigrad
