// Going on from checkpoints, as the coordinator sees it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "tests/support/all_checkpoints.h"
#include "tests/support/experiment.h"
#include "tests/support/gate.h"
#include "tests/support/patient_run.h"
#include "tests/support/temporary_folder.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;
using ::testing::HasSubstr;

using UpdateKey = std::tuple<std::uint64_t, double, int, std::uint64_t, double, std::uint64_t, float>;

std::vector<UpdateKey> keys(const std::vector<UpdateRecord>& updates, std::uint64_t after) {
  std::vector<UpdateKey> keys;
  for (const UpdateRecord& update : updates) {
    if (update.update <= after) continue;
    keys.emplace_back(update.update, update.time, update.worker, update.staleness, update.lr,
                      update.gradients, update.loss);
  }
  return keys;
}

void expect_equal(const RunSummary& one, const RunSummary& other) {
  EXPECT_EQ(one.updates, other.updates);
  EXPECT_EQ(one.gradients, other.gradients);
  EXPECT_EQ(one.time, other.time);
  EXPECT_EQ(one.staleness_max, other.staleness_max);
  EXPECT_EQ(one.idle_share, other.idle_share);
  EXPECT_EQ(one.discarded_share, other.discarded_share);
  EXPECT_EQ(one.final_evaluation.loss, other.final_evaluation.loss);
  EXPECT_EQ(one.train_loss, other.train_loss);
  EXPECT_EQ(one.largest_drift, other.largest_drift);
  ASSERT_EQ(one.workers.size(), other.workers.size());
  for (std::size_t i = 0; i < one.workers.size(); ++i) {
    EXPECT_EQ(one.workers[i].jobs, other.workers[i].jobs);
    EXPECT_EQ(one.workers[i].busy_share, other.workers[i].busy_share);
    EXPECT_EQ(one.workers[i].discarded_jobs, other.workers[i].discarded_jobs);
    EXPECT_EQ(one.workers[i].staleness.median(), other.workers[i].staleness.median());
  }
}

class Resume : public ::testing::TestWithParam<std::string> {
 protected:
  using Change = std::function<void(Experiment&)>;

  /// A run in virtual time that takes checkpoints all the time, each while it goes on; from every one of
  /// them, and with another number of threads, the rest of the run is repeated.
  void expect_the_same_rest_from_everywhere(const Change& change = {}) {
    constexpr std::uint64_t updates = 100;
    const auto make = [&](int devices) {
      auto run = std::make_unique<MethodExperiment>(5, GetParam(), "linear:1:0.7+exponential:0.5",
                                                    in_virtual_time(updates), devices);
      run->options.evaluate_every_updates = 7;
      if (change) change(*run);
      return run;
    };
    const auto whole = make(2);
    whole->options.checkpoints = all_checkpoints_in(folder_.path(), 1);
    PatientRun patience(folder_.path());
    whole->observers.push_back(&patience);
    const RunSummary summary = whole->go();
    const auto undisturbed = make(2);
    undisturbed->go();
    EXPECT_EQ(undisturbed->model, whole->model);

    const auto checkpoints = CheckpointFolder::list(folder_.path());
    EXPECT_GE(checkpoints.size(), 2U);  // mostly eight
    const std::size_t stride = 1 + checkpoints.size() / 8;
    for (std::size_t i = 0; i < checkpoints.size(); i += stride) {
      const auto rest = make(static_cast<int>(i % 3) + 1);
      rest->checkpoint = checkpoints[i];
      const RunSummary resumed = rest->go();
      SCOPED_TRACE(checkpoints[i].filename());
      EXPECT_EQ(rest->model, whole->model);
      expect_equal(resumed, summary);
      const std::uint64_t from =
          rest->recorder.updates.empty() ? updates : rest->recorder.updates.front().update - 1;
      EXPECT_EQ(keys(rest->recorder.updates, 0), keys(whole->recorder.updates, from));
    }
  }

  TemporaryFolder folder_;
};

INSTANTIATE_TEST_SUITE_P(, Resume, ::testing::ValuesIn(method_names()), method_title);

TEST_P(Resume, InVirtualTimeGivesTheVeryBitsFromEveryCheckpoint) { expect_the_same_rest_from_everywhere(); }

TEST_P(Resume, KeepsWhatTheServerAdds) {
  expect_the_same_rest_from_everywhere([&](Experiment& run) {
    run.options.server = {.momentum = 0.5, .weight_decay = 0.01, .clip_norm = 2};
    run.options.lr_schedule = "step:10:0.9";
    if (!has_feature(GetParam(), Feature::table)) return;
    run.options.server.table_type = TableType::bf16;
    run.options.server.resum_every = 9;
  });
}

// In wall time jobs in flight begin again, at the versions that they were begun at.
TEST_P(Resume, InWallTimeRunsTheJobsInFlightAgain) {
  MethodExperiment first(4, GetParam(), "1,1,1,2", in_wall_time(25), 2);
  first.options.time_unit_s = 1e-3;
  first.options.checkpoints = all_checkpoints_in(folder_.path(), 1000);
  first.go();
  const auto checkpoints = CheckpointFolder::list(folder_.path());
  ASSERT_EQ(checkpoints.size(), 1U);  // of the end
  const auto jobs = Checkpoint::read(checkpoints.front()).state()["coordinator"]["of_workers"];

  MethodExperiment rest(4, GetParam(), "1,1,1,2", in_wall_time(60), 2);
  rest.options.time_unit_s = 1e-3;
  rest.checkpoint = checkpoints.front();
  const RunSummary summary = rest.go();
  EXPECT_EQ(summary.updates, 60U);
  EXPECT_EQ(rest.recorder.updates.front().update, 26U);
  std::set<int> seen;
  for (const JobRecord& arrival : rest.recorder.arrivals) {
    if (!seen.insert(arrival.worker).second) continue;
    const auto& versions = jobs["jobs"][static_cast<std::size_t>(arrival.worker)];
    if (versions.empty()) continue;  // waited for a model then
    if (rest.recorder.arrivals.size() > 1 && GetParam() != "ringmaster" && GetParam() != "malenia" &&
        GetParam() != "rennala") {  // which may throw the job away first
      EXPECT_EQ(arrival.version, versions[0].get<std::uint64_t>());
    }
  }
}

class ResumeOnce : public ::testing::Test {
 protected:
  TemporaryFolder folder_;
};

TEST_F(ResumeOnce, WithOtherWorkersGoesOnFromTheModelAlone) {
  Experiment first(3, "dude", "1,2,3", in_virtual_time(40));
  first.options.server.momentum = 0.5;
  first.options.lr = 0.05;
  first.options.checkpoints = all_checkpoints_in(folder_.path(), 1000);
  first.go();
  Experiment rest(5, "dude", "1,2,3,4,5", in_virtual_time(400));
  rest.options.server.momentum = 0.5;
  rest.options.lr = 0.05;
  rest.checkpoint = CheckpointFolder::list(folder_.path()).back();
  const RunSummary summary = rest.go();
  EXPECT_EQ(summary.updates, 400U);
  EXPECT_EQ(rest.recorder.updates.front().update, 41U);
  EXPECT_GT(rest.recorder.updates.front().time, first.recorder.updates.back().time);
  // All five rows were filled anew at the first model: the minimum is that of the five workers.
  EXPECT_NEAR(rest.model[0], 2, 1e-3);  // contracts by more than 0.9 a round, of which there are 80
}

TEST_F(ResumeOnce, ACheckpointOfAnotherModelIsRefused) {
  Experiment first(2, "asgd", "1,2", in_virtual_time(10));
  first.options.checkpoints = all_checkpoints_in(folder_.path(), 1000);
  first.go();
  Experiment rest(2, "dude", "1,2", in_virtual_time(20));
  rest.checkpoint = CheckpointFolder::list(folder_.path()).back();
  EXPECT_THROW(rest.go(), std::invalid_argument);
}

// Trouble with the disk is told once and does not end the run; the checkpoint that was there stays.
TEST_F(ResumeOnce, TroubleIsToldOnceAndTrainingGoesOn) {
  Experiment run(2, "asgd", "1,1", in_virtual_time(4000));
  const auto inside = folder_.path() / "checkpoints";
  run.options.checkpoints = all_checkpoints_in(inside, 100);
  run.objective.in_gradient = [&](int worker, std::uint64_t job) {
    if (worker != 0 || job != 500) return;
    // A file stands where the folder was.
    std::filesystem::rename(inside, folder_.path() / "away");
    std::ofstream(inside) << "no folder";
  };
  const RunSummary summary = run.go();
  EXPECT_EQ(summary.updates, 4000U);
  ASSERT_EQ(run.recorder.warnings.size(), 1U);
  EXPECT_EQ(run.recorder.warnings.front().kind, Warning::Kind::checkpoint);
  EXPECT_THAT(run.recorder.warnings.front().text, HasSubstr("no checkpoint: "));
  for (const auto& one : CheckpointFolder::list(folder_.path() / "away")) {
    EXPECT_NO_THROW(Checkpoint::read(one)) << one;
  }
}

TEST_F(ResumeOnce, KeepsTheNewest) {
  Experiment run(2, "asgd", "1,1", in_virtual_time(3000));
  run.options.checkpoints = all_checkpoints_in(folder_.path(), 10);
  run.options.checkpoints.keep = 2;
  run.go();
  const auto checkpoints = CheckpointFolder::list(folder_.path());
  EXPECT_EQ(checkpoints.size(), 2U);
  EXPECT_EQ(checkpoints.back().filename(), "update-3000-gradient-3000");
}

TEST_F(ResumeOnce, StopsAtOnceWhereTheRunHadEnded) {
  Experiment first(2, "dude", "1,2", in_virtual_time(10));
  first.options.checkpoints = all_checkpoints_in(folder_.path(), 1000);
  first.go();
  Experiment rest(2, "dude", "1,2", in_virtual_time(10));
  rest.checkpoint = CheckpointFolder::list(folder_.path()).back();
  EXPECT_EQ(rest.go().updates, 10U);
  EXPECT_EQ(rest.model, first.model);
}

}  // namespace
}  // namespace tardigrad
