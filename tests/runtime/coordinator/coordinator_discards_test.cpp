// Jobs thrown away, and queued, in wall time. In which order things happen then: coordinator_order_test.cpp.

#include <gtest/gtest.h>

#include <map>
#include <stop_token>

#include "tests/support/experiment.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;

/// Requests a stop when so many jobs of a worker have ended that were thrown away.
class StopsAfterDiscards final : public RunObserver {
 public:
  StopsAfterDiscards(int worker, int ends) : worker_(worker), ends_(ends) {}
  void on_discarded_over(int worker, double) override {
    if (worker == worker_ && --ends_ == 0) enough.request_stop();
  }
  std::stop_source enough;

 private:
  int worker_;
  int ends_;
};

// A job that the throttle stretches to hours is cancelled: its worker begins again and again.
TEST(DiscardedJobs, StretchedJobsAreCancelled) {
  Experiment run(3, "rennala", "1,1,1e8", in_wall_time(100000));
  run.method_options.gather = 2;
  run.options.lr = 0.01;
  run.options.time_unit_s = 1e-4;
  StopsAfterDiscards stops(2, 5);
  run.observers = {&stops};
  const RunSummary summary = run.go(stops.enough.get_token());
  EXPECT_EQ(summary.stop_reason, StopReason::interrupted) << "what the test waits for never came";
  EXPECT_LT(summary.time, 1e8 * 1e-4 / 10);  // nobody waited
  EXPECT_EQ(summary.workers[2].jobs, 0U);
  EXPECT_GE(summary.workers[2].discarded_jobs, 5U);
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
    for (const auto& [version, count] : uses) EXPECT_TRUE(version == 0 || count == 1) << version;
    // Four jobs are outstanding always; by a worker's chance to be drawn, half of the mean is far off.
    for (const WorkerRecord& worker : summary.workers) EXPECT_GT(worker.jobs, updates / workers / 2);
    EXPECT_EQ(summary.discarded_share, 0);
  }
}

}  // namespace
}  // namespace tardigrad
