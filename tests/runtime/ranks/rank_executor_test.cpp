// Runs whose workers are on other ranks, against the same in one process.

#include "runtime/ranks/rank_executor.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/gate.h"
#include "tests/support/ranked_experiment.h"
#include "tests/support/recorded_runs.h"
#include "tests/support/stops_behind_a_loss.h"
#include "tests/support/temporary_file.h"
#include "tests/support/temporary_folder.h"

namespace tardigrad {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::Ne;
using namespace ::tardigrad::testing;

std::vector<float> losses_of(const Experiment& run) {
  std::vector<float> losses;
  for (const UpdateRecord& update : run.recorder.updates) losses.push_back(update.loss);
  return losses;
}

void expect_same(const Experiment& run, const Experiment& expected) {
  EXPECT_EQ(run.model, expected.model);
  EXPECT_EQ(run.sequence(), expected.sequence());
  EXPECT_EQ(losses_of(run), losses_of(expected));
  EXPECT_EQ(run.recorder.discards.size(), expected.recorder.discards.size());
  EXPECT_EQ(run.recorder.summary.largest_drift, expected.recorder.summary.largest_drift);
}

class RankExecutorMethods : public ::testing::TestWithParam<std::string> {
 protected:
  static constexpr const char* times = "1,2,3,5,9+exponential:0.5";
  static RunOptions options() {
    RunOptions options = in_virtual_time(60);
    options.evaluate_every_updates = 20;
    return options;
  }
};

TEST_P(RankExecutorMethods, GiveTheBitsOfOneProcessInVirtualTime) {
  MethodExperiment alone(5, GetParam(), times, options(), 1);
  alone.go();
  struct Where {
    int ranks;
    int devices;
    std::vector<int> workers_per_rank = {};
  };
  const std::vector<Where> places = {{2, 1}, {3, 2}, {6, 1}, {3, 1, {2, 2, 1}}, {2, 2, {4, 1}}};
  for (const auto& [ranks, devices, workers_per_rank] : places) {
    RankedExperiment run(ranks, 5, GetParam(), times, options(), devices);
    run.workers_per_rank = workers_per_rank;
    run.verify = true;
    run.go();
    SCOPED_TRACE(std::to_string(ranks) + " ranks, " + std::to_string(devices) + " devices each" +
                 (workers_per_rank.empty() ? "" : ", rank 0 computes, too"));
    expect_same(run, alone);
  }
}

TEST_P(RankExecutorMethods, InWallTimeGiveWhatTheirOrderSays) {
  const TemporaryFile file;
  RankedExperiment run(3, 5, GetParam(), "measured", in_wall_time(60), 2);
  {
    RunRecorder recorder(file.path(), run_json(run.options));
    run.observers = {&recorder};
    run.verify = true;
    run.go();
  }
  MethodExperiment again(5, GetParam(), "measured", in_wall_time(60), 1);
  replay(again, file.path());
  EXPECT_EQ(again.model, run.model);
  RankedExperiment once_more(4, 5, GetParam(), "measured", in_wall_time(60));
  once_more.workers_per_rank = {2, 1, 1, 1};
  Recording recording(file.path());
  once_more.replay = &recording;
  once_more.go();
  EXPECT_EQ(once_more.model, run.model);
}

TEST_P(RankExecutorMethods, GoOnFromACheckpoint) {
  MethodExperiment alone(5, GetParam(), times, options(), 1);
  alone.go();
  const TemporaryFolder folder;
  RankedExperiment first(3, 5, GetParam(), times, options());
  first.options.max_updates = 30;
  first.options.checkpoints.folder = folder.path();
  first.options.checkpoints.run_json = "{}";
  first.go();
  ASSERT_FALSE(first.recorder.saved.empty());
  for (const std::vector<int>& workers_per_rank : {std::vector<int>{}, {2, 1, 1, 1}}) {
    RankedExperiment second(4, 5, GetParam(), times, options());
    second.workers_per_rank = workers_per_rank;
    second.checkpoint = first.recorder.saved.back().path;
    second.go();
    EXPECT_EQ(second.model, alone.model);
  }
}

INSTANTIATE_TEST_SUITE_P(Each, RankExecutorMethods, ::testing::ValuesIn(method_names()), method_title);

TEST(RankExecutor, GivesARankTheWorkersThatItIsToHave) {
  MethodExperiment alone(5, "dude", "1,2,3,4,5", in_virtual_time(30), 1);
  alone.go();
  RankedExperiment run(3, 5, "dude", "1,2,3,4,5", in_virtual_time(30));
  run.workers_per_rank = {4, 1};
  run.go();
  expect_same(run, alone);
}

TEST(RankExecutor, LosesWorkersAndHasThemBackAsOneProcessDoes) {
  const TemporaryFile script;
  script.write(
      "[[event]]\ntime = 4.5\nworker = 1\nstate = \"failed\"\n"
      "[[event]]\ntime = 12\nworker = 0\nslowdown = 3\n"
      "[[event]]\ntime = 20\nworker = 1\nstate = \"working\"\n");
  for (const std::string method : {"dude", "asgd-uniform", "ringmaster", "rennala"}) {
    MethodExperiment alone(4, method, "1,2,3,5", in_virtual_time(50), 1);
    alone.speeds = EventScript::read(script.path(), 4);
    alone.go();
    RankedExperiment run(3, 4, method, "1,2,3,5", in_virtual_time(50));
    run.speeds = EventScript::read(script.path(), 4);
    run.go();
    SCOPED_TRACE(method);
    expect_same(run, alone);
    EXPECT_EQ(run.recorder.changes.size(), 2U);
  }
}

TEST(RankExecutor, InWallTimeHasWorkersOnRank0BesideOthers) {
  for (const std::string method : {"dude", "sync", "malenia", "fedbuff"}) {
    const TemporaryFile file;
    RankedExperiment run(3, 5, method, "measured", in_wall_time(60), 2);
    run.workers_per_rank = {2, 2, 1};
    {
      RunRecorder recorder(file.path(), run_json(run.options));
      run.observers = {&recorder};
      run.verify = true;
      run.go();
    }
    MethodExperiment again(5, method, "measured", in_wall_time(60), 1);
    replay(again, file.path());
    EXPECT_EQ(again.model, run.model) << method;
  }
}

TEST(RankExecutor, LosesAWorkerWhoseJobFailsInWallTime) {
  for (const int rank : {2, 0}) {
    StopsBehindALoss observer;
    RankedExperiment run(3, 3, "dude", "measured", in_wall_time(1'000'000), 2);
    if (rank == 0) run.workers_per_rank = {1, 1, 1};
    const int failing = rank == 0 ? 0 : 1;
    run.observers = {&observer};
    run.objective.in_gradient = [failing](int worker, std::uint64_t job) {
      if (worker == failing && job == 3) throw std::runtime_error("it fell over");
    };
    run.go(observer.stop.get_token());
    ASSERT_EQ(run.recorder.changes.size(), 1U);
    EXPECT_EQ(run.recorder.changes[0].worker, failing);
    EXPECT_THAT(run.recorder.changes[0].reason,
                AllOf(HasSubstr(fmt::format("job 3 of worker {} is lost: rank {}: ", failing, rank)),
                      HasSubstr("it fell over")));
    EXPECT_GE(observer.arrived.size(), 20U);
    EXPECT_THAT(observer.arrived, Each(Ne(failing)));
  }
}

TEST(RankExecutor, EndsARunInVirtualTimeWhoseJobFails) {
  RankedExperiment run(2, 2, "asgd", "1,2", in_virtual_time(50));
  run.objective.in_gradient = [](int worker, std::uint64_t job) {
    if (worker == 1 && job == 3) throw std::runtime_error("it fell over");
  };
  EXPECT_THROW(run.go(), DeviceLostError);
}

// Opens the gate at which job 2 of a worker stands when that job is given up, and stops the run when it ends
// after all. Other jobs may be given up, too: the machine may stall for longer than a job is waited for.
struct GivenUpJob final : RunObserver {
  explicit GivenUpJob(int of_worker) : worker(of_worker) {}

  void on_worker_change(const WorkerChange& change) override {
    if (change.worker != worker) return;
    if (change.lost && change.reason.find("no end of job 2 ") != std::string::npos) {
      lost = true;
      gate.open();
    } else if (!change.lost && lost) {
      back = change.reason;
      stop.request_stop();
    }
  }

  int worker;
  Gate gate;
  std::stop_source stop;
  bool lost = false;
  std::string back;
};

TEST(RankExecutor, TakesAWorkerThatHangsOutOfTheRunInWallTime) {
  for (const int hanging : {1, 0}) {  // on rank 1, and on rank 0
    GivenUpJob job_2(hanging);
    RankedExperiment run(2, 2, "asgd", "measured", in_wall_time(1'000'000));
    run.workers_per_rank = {1, 1};
    run.options.worker_timeout_s = 0.25;  // longer than a machine stalls
    run.objective.in_gradient = [&](int worker, std::uint64_t job) {
      if (worker == hanging && job == 2) job_2.gate.pass()();
    };
    run.observers = {&job_2};
    run.go(job_2.stop.get_token());
    EXPECT_TRUE(job_2.lost);
    EXPECT_THAT(job_2.back, HasSubstr("has come to an end after all"));
  }
}

TEST(RankExecutor, StretchesJobsInWallTime) {
  RankedExperiment run(2, 2, "asgd", "1,2", in_wall_time(12));
  run.workers_per_rank = {1, 1};
  run.options.time_unit_s = 0.002;
  run.options.time_jobs = true;
  run.go();
  for (const JobRecord& job : run.recorder.arrivals) {
    EXPECT_GE(job.compute_time, 0.002 * (job.worker + 1)) << job.worker;
  }
}

}  // namespace
}  // namespace tardigrad
