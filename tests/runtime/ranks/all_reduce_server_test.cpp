// The method sync with a model on every rank, against one server.

#include "runtime/ranks/servers/all_reduce_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>

#include "tests/support/ranked_experiment.h"
#include "tests/support/recorded_runs.h"
#include "tests/support/temporary_file.h"
#include "tests/support/temporary_folder.h"

namespace tardigrad {
namespace {

using ::testing::HasSubstr;
using namespace ::tardigrad::testing;

constexpr const char* times = "1,2,3,5,9+exponential:0.5";

/// A run of sync over so many ranks, each of which keeps the model.
struct AllReduced : RankedExperiment {
  AllReduced(int run_ranks, int workers, const std::string& compute_time, const RunOptions& run_options)
      : RankedExperiment(run_ranks, workers, "sync", compute_time, run_options) {
    replicated = true;
  }
};

RunOptions with_momentum() {
  RunOptions options = in_virtual_time(40);
  options.server = {.momentum = 0.5, .weight_decay = 0.01, .clip_norm = 2};
  return options;
}

RunOptions with_adamw() {
  RunOptions options = in_virtual_time(40);
  options.server.optimizer = Optimizer::adamw;
  return options;
}

/// Sums of five numbers in another order differ by four roundings, of 2⁻²⁴ of their size (at most 8) each, in
/// every one of 40 steps of at most 0.1 in all (lr 0.05, momentum 0.5, or lr 0.05 of AdamW).
void expect_equal_up_to_rounding(const Experiment& run, const Experiment& expected) {
  constexpr double tolerance = 40 * 0.1 * 4 * 8 * 6e-8;
  for (std::size_t e = 0; e < Pull::dimension; ++e) EXPECT_NEAR(run.model[e], expected.model[e], tolerance);
  EXPECT_EQ(run.sequence(), expected.sequence());
}

// Quarters of small whole numbers, halved a few times: no sum is rounded.
TEST(AllReduceServer, GivesTheBitsOfOneServerWhereNothingIsRounded) {
  const std::vector<std::pair<int, std::vector<int>>> places = {{2, {}}, {3, {}}, {5, {}}, {2, {3, 1}}};
  for (const auto& [ranks, workers_per_rank] : places) {
    MethodExperiment alone(4, "sync", "1,2,3,5", in_virtual_time(12), 1);
    AllReduced run(ranks, 4, "1,2,3,5", in_virtual_time(12));
    run.workers_per_rank = workers_per_rank;
    for (MethodExperiment* one : {&alone, static_cast<MethodExperiment*>(&run)}) {
      one->objective.noise = 0;
      one->options.lr = 0.5;
    }
    alone.go();
    run.verify = true;
    run.go();
    EXPECT_EQ(run.model, alone.model) << ranks;
    EXPECT_EQ(run.sequence(), alone.sequence());
    EXPECT_NE(alone.model[0], 0);
  }
}

class AllReduceServerSteps : public ::testing::TestWithParam<std::function<RunOptions()>> {};

TEST_P(AllReduceServerSteps, AreThoseOfOneServerUpToRounding) {
  MethodExperiment alone(5, "sync", times, GetParam()(), 1);
  alone.go();
  for (const int ranks : {2, 4, 6}) {
    AllReduced run(ranks, 5, times, GetParam()());
    run.go();
    SCOPED_TRACE(ranks);
    expect_equal_up_to_rounding(run, alone);
    AllReduced again(ranks, 5, times, GetParam()());
    again.go();
    EXPECT_EQ(again.model, run.model) << "virtual time repeats to the bit";
  }
  AllReduced with_rank_0(3, 5, times, GetParam()());
  with_rank_0.workers_per_rank = {2, 2, 1};
  with_rank_0.verify = true;
  with_rank_0.go();
  expect_equal_up_to_rounding(with_rank_0, alone);
}

TEST_P(AllReduceServerSteps, GoOnFromACheckpoint) {
  AllReduced whole(3, 5, times, GetParam()());
  whole.go();
  const TemporaryFolder folder;
  AllReduced first(3, 5, times, GetParam()());
  first.options.max_updates = 15;
  first.options.checkpoints.folder = folder.path();
  first.options.checkpoints.run_json = "{}";
  first.go();
  ASSERT_FALSE(first.recorder.saved.empty());
  AllReduced second(3, 5, times, GetParam()());
  second.checkpoint = first.recorder.saved.back().path;
  second.go();
  EXPECT_EQ(second.model, whole.model);
}

TEST_P(AllReduceServerSteps, InWallTimeAreReplayed) {
  const TemporaryFile file;
  RunOptions options = GetParam()();
  options.clock = ClockKind::wall;
  AllReduced run(4, 5, "measured", options);
  {
    RunRecorder recorder(file.path(), run_json(run.options));
    run.observers = {&recorder};
    run.go();
  }
  AllReduced again(4, 5, "measured", options);
  Recording recording(file.path());
  again.replay = &recording;
  again.go();
  // The sum of a rank with two workers is rounded in the order in which they arrived, as recorded.
  EXPECT_EQ(again.model, run.model);
}

INSTANTIATE_TEST_SUITE_P(Each, AllReduceServerSteps, ::testing::Values(with_momentum, with_adamw),
                         [](const auto& tested) { return tested.index == 0 ? "momentum" : "adamw"; });

TEST(AllReduceServer, GoesOnWithoutWorkersThatAreLost) {
  const TemporaryFile script;
  script.write(
      "[[event]]\ntime = 4.5\nworker = 1\nstate = \"failed\"\n"
      "[[event]]\ntime = 7\nworker = 4\nstate = \"failed\"\n"
      "[[event]]\ntime = 40\nworker = 1\nstate = \"working\"\n");
  RunOptions options = in_virtual_time(40);
  MethodExperiment alone(5, "sync", times, options, 1);
  alone.speeds = EventScript::read(script.path(), 5);
  alone.go();
  AllReduced run(4, 5, times, options);
  run.speeds = EventScript::read(script.path(), 5);
  run.go();
  expect_equal_up_to_rounding(run, alone);
  EXPECT_EQ(run.recorder.changes.size(), 3U);
}

// The parts of its sum are on the ranks.
TEST(AllReduceServer, SaysThatARunWhichEndsWithinARoundLeavesNoCheckpointOfThat) {
  const TemporaryFolder folder;
  AllReduced run(3, 5, times, in_virtual_time(40));
  run.options.max_gradients = 13;
  run.options.checkpoints.folder = folder.path();
  run.options.checkpoints.every_updates = 2;
  run.options.checkpoints.run_json = "{}";
  run.go();
  ASSERT_EQ(run.recorder.warnings.size(), 1U);
  EXPECT_THAT(run.recorder.warnings[0].text,
              AllOf(HasSubstr("no checkpoint of the end, which lies within a round; "),
                    HasSubstr("update-2-gradient-10")));
}

TEST(AllReduceServer, LosesAWorkerWhoseJobFailsInWallTime) {
  AllReduced run(3, 3, "measured", in_wall_time(30));
  run.objective.in_gradient = [](int worker, std::uint64_t job) {
    if (worker == 1 && job == 3) throw std::runtime_error("it fell over");
  };
  run.go();
  ASSERT_EQ(run.recorder.changes.size(), 1U);
  EXPECT_THAT(run.recorder.changes[0].reason, HasSubstr("it fell over"));
  EXPECT_EQ(run.recorder.summary.updates, 30U);
}

TEST(AllReduceServer, KeepsNoTables) {
  AllReduced run(3, 3, "1,2,3", in_virtual_time(10));
  run.method_name = "dude";
  EXPECT_THROW(run.go(), std::logic_error);
}

}  // namespace
}  // namespace tardigrad
