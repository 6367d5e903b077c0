// What runs that go on from a checkpoint still know, and what they tell.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>

#include "runtime/base/state_archive.h"
#include "runtime/telemetry/buffered_observer.h"
#include "tests/support/all_checkpoints.h"
#include "tests/support/experiment.h"
#include "tests/support/patient_run.h"
#include "tests/support/temporary_file.h"
#include "tests/support/temporary_folder.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ResumeState : public ::testing::Test {
 protected:
  CheckpointOptions checkpoints(std::optional<std::uint64_t> every_updates = {}) const {
    return all_checkpoints_in(folder_.path(), every_updates);
  }

  std::filesystem::path newest() const { return CheckpointFolder::list(folder_.path()).back(); }

  TemporaryFolder folder_;
};

// ---- Models that were finite ----

/// x ← x − 8 (x − i) from the checkpoint on: a factor of 7 an update.
struct Diverged {
  std::optional<std::uint64_t> update;  // of the model that is left
  std::vector<float> model;
};

Diverged run_to_divergence(Experiment& run) {
  run.options.lr = 8;
  try {
    run.go();
  } catch (const NotFiniteError& error) {
    return {error.update(), run.model};
  }
  throw std::logic_error("the run did not diverge");
}

std::vector<float> model_in(const std::filesystem::path& checkpoint, const Pull& objective) {
  std::vector<float> model(Pull::dimension);
  Checkpoint::read(checkpoint).read_model(objective.layout(), model);
  return model;
}

TEST_F(ResumeState, OfARunThatDivergesLeavesTheModelItWentOnFrom) {
  Experiment first(2, "asgd", "1,2", in_virtual_time(300));
  first.options.checkpoints = checkpoints();
  first.go();
  Experiment rest(2, "asgd", "1,2", in_virtual_time(100000));
  rest.checkpoint = newest();
  const Diverged diverged = run_to_divergence(rest);
  EXPECT_EQ(diverged.update, 300U);
  EXPECT_EQ(diverged.model, model_in(newest(), rest.objective));
}

TEST_F(ResumeState, OfARunThatDivergesLeavesTheNewestFiniteCheckpoint) {
  Experiment first(2, "asgd", "1,2", in_virtual_time(300));
  first.options.checkpoints = checkpoints();
  first.go();
  Experiment rest(2, "asgd", "1,2", in_virtual_time(100000));
  rest.checkpoint = newest();
  rest.options.checkpoints = checkpoints(1);
  PatientRun patience(folder_.path(), 4);  // enough for all its vectors
  rest.observers = {&patience};
  const Diverged diverged = run_to_divergence(rest);
  ASSERT_TRUE(diverged.update);
  const auto all = CheckpointFolder::list(folder_.path());
  const auto left = std::ranges::find_if(all, [&](const std::filesystem::path& path) {
    return CheckpointFolder::update_of(path.filename()) == diverged.update;
  });
  ASSERT_NE(left, all.end());
  EXPECT_EQ(diverged.model, model_in(*left, rest.objective));
  EXPECT_TRUE(is_finite(diverged.model));
  EXPECT_GT(*diverged.update, 300U);
}

// ---- Workers that are lost ----

/// Worker 0 fails for good, later worker 1.
struct TwoLosses {
  TemporaryFile script{
      "[[event]]\ntime = 10\nworker = 0\nstate = \"failed\"\n"
      "[[event]]\ntime = 60\nworker = 1\nstate = \"failed\"\n"};
};

std::string end_without_workers(Experiment& run) {
  try {
    run.go();
  } catch (const WorkersLostError& error) {
    return error.what();
  }
  throw std::logic_error("workers are left");
}

TEST_F(ResumeState, KnowsWhyWorkersAreLost) {
  const TwoLosses losses;
  Experiment straight(2, "asgd", "1,1", in_virtual_time(1000));
  straight.speeds = EventScript::read(losses.script.path(), 2);
  const std::string end = end_without_workers(straight);
  EXPECT_THAT(end, HasSubstr("worker 0 (as --events says), worker 1 (as --events says)"));
  Experiment first(2, "asgd", "1,1", in_virtual_time(30));
  first.speeds = straight.speeds;
  first.options.checkpoints = checkpoints();
  first.go();
  Experiment rest(2, "asgd", "1,1", in_virtual_time(1000));
  rest.speeds = straight.speeds;
  rest.checkpoint = newest();
  EXPECT_EQ(end_without_workers(rest), end);
}

// What the script has made of workers by then holds, also by another script, and of other workers.
TEST_F(ResumeState, WithOtherWorkersKeepsThoseOutThatTheScriptHas) {
  Experiment first(2, "dude", "1,1", in_virtual_time(60));
  first.options.checkpoints = checkpoints();
  first.go();
  const double now = first.recorder.updates.back().time;
  ASSERT_GT(now, 20);
  ASSERT_LT(now, 100);
  const TemporaryFile script(
      "[[event]]\ntime = 5\nworker = 0\nstate = \"failed\"\n"
      "[[event]]\ntime = 6\nworker = 2\nstate = \"failed\"\n"
      "[[event]]\ntime = 7\nworker = 0\nstate = \"working\"\n"
      "[[event]]\ntime = 100\nworker = 2\nstate = \"working\"\n");
  Experiment rest(3, "dude", "1,1,1", in_virtual_time(400));
  rest.speeds = EventScript::read(script.path(), 3);
  rest.checkpoint = newest();
  rest.go();
  ASSERT_EQ(rest.recorder.changes.size(), 2U);
  EXPECT_EQ(rest.recorder.changes[0].worker, 2);
  EXPECT_TRUE(rest.recorder.changes[0].lost);
  EXPECT_EQ(rest.recorder.changes[0].time, now);
  EXPECT_FALSE(rest.recorder.changes[1].lost);
  EXPECT_EQ(rest.recorder.changes[1].time, 100);
  for (const JobRecord& arrival : rest.recorder.arrivals) {
    EXPECT_TRUE(arrival.worker != 2 || arrival.time > 100) << arrival.time;
  }
}

// ---- What is told ----

TEST_F(ResumeState, OfAVerifiedRunCountsAllChecks) {
  const auto run_of = [](std::uint64_t updates) {
    auto run = std::make_unique<Experiment>(2, "asgd", "1,2", in_virtual_time(updates));
    run->verify = true;
    return run;
  };
  const auto straight = run_of(200);
  straight->go();
  const auto first = run_of(50);
  first->options.checkpoints = checkpoints();
  first->go();
  const auto rest = run_of(200);
  rest->checkpoint = newest();
  rest->go();
  EXPECT_EQ(rest->verified, straight->verified);
}

/// Counts updates, and knows the count after a break; keeps what it is told of that.
class UpdateCounter final : public RunObserver {
 public:
  void on_update(const UpdateRecord&) override { ++updates; }
  void on_resume(const ResumeRecord& record) override { resumed.push_back(record); }
  std::string state_name() const override { return "counter"; }
  void visit_state(StateArchive& state) override { state.number("updates", updates, 0, 1 << 30); }

  int updates = 0;
  std::vector<ResumeRecord> resumed;
};

// Also of those that are told in batches.
TEST_F(ResumeState, IsKeptForObservers) {
  UpdateCounter counter;
  BufferedObserver batches({&counter});
  Experiment first(2, "asgd", "1,2", in_virtual_time(50));
  first.options.evaluate_every_updates = 20;
  first.options.checkpoints = checkpoints();
  first.observers = {&batches};
  first.go();
  EXPECT_THAT(counter.resumed, IsEmpty());

  UpdateCounter another;
  BufferedObserver other_batches({&another});
  Experiment rest(2, "asgd", "1,2", in_virtual_time(80));
  rest.observers = {&other_batches};
  rest.checkpoint = newest();
  rest.go();
  EXPECT_EQ(another.updates, 80);
  ASSERT_EQ(another.resumed.size(), 1U);
  const ResumeRecord& record = another.resumed.front();
  EXPECT_EQ(record.path, newest().string());
  EXPECT_EQ(record.checkpoint.update, 50U);
  EXPECT_EQ(record.checkpoint.name, newest().filename());
  EXPECT_EQ(record.checkpoint.time, first.recorder.updates.back().time);
  EXPECT_EQ(record.evaluation.update, 40U);
}

}  // namespace
}  // namespace tardigrad
