// Every method under verification, through the coordinator, with losses and returns: nothing is found, and no
// bit changes.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "runtime/verify/verified_method.h"
#include "tests/support/experiment.h"
#include "tests/support/temporary_file.h"
#include "tests/support/temporary_folder.h"

namespace tardigrad {
namespace {

using ::testing::HasSubstr;

class Verified : public ::testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(Methods, Verified, ::testing::ValuesIn(method_names()), testing::method_title);

/// Workers 0 to 2 of five fail and come back, two of them at once for a while; in units of the delay model.
EventScript losses() {
  const TemporaryFile file;
  std::string text;
  const auto event = [&](double time, int worker, const char* state) {
    text += "[[event]]\ntime = " + std::to_string(time) + "\nworker = " + std::to_string(worker) +
            "\nstate = \"" + state + "\"\n";
  };
  event(0.5, 0, "failed");
  event(4, 0, "working");
  for (const double round : {10.0, 30.0, 50.0}) {
    event(round, 1, "failed");
    event(round + 3, 2, "failed");
    event(round + 7, 1, "working");
    event(round + 12, 2, "working");
  }
  return EventScript::read(file.write(text), 5);
}

std::unique_ptr<testing::MethodExperiment> five_workers(const std::string& name, const RunOptions& options) {
  auto run = std::make_unique<testing::MethodExperiment>(5, name, "linear:1:0.7+exponential:0.5", options, 2);
  run->speeds = losses();
  run->verify = true;
  return run;
}

/// One checkpoint, when the run ends.
CheckpointOptions at_the_end(const TemporaryFolder& folder) {
  CheckpointOptions options;
  options.folder = folder.path();
  options.every_updates = 1000;
  options.run_json = "{}";
  return options;
}

TEST_P(Verified, ChangesNoBitInVirtualTime) {
  RunOptions options = testing::in_virtual_time(200);
  options.evaluate_every_updates = 20;
  const auto plain = five_workers(GetParam(), options);
  plain->verify = false;
  plain->go();
  for (const LostRows lost_rows : {LostRows::keep, LostRows::drop}) {
    const auto verified = five_workers(GetParam(), options);
    if (has_feature(GetParam(), Feature::lost_rows)) verified->method_options.lost_rows = lost_rows;
    verified->go();
    const bool has_table = make_method(GetParam(), {.workers = 5})->memory().tables > 0;
    EXPECT_EQ(verified->verified.find("looks at the table") != std::string::npos, has_table);
    if (lost_rows == LostRows::drop) continue;
    EXPECT_EQ(verified->model, plain->model);
    EXPECT_EQ(verified->sequence(), plain->sequence());
  }
}

TEST_P(Verified, HoldsWithRowsInBf16AndResums) {
  RunOptions options = testing::in_virtual_time(150);
  if (make_method(GetParam(), {.workers = 5})->memory().tables > 0) {
    options.server.table_type = TableType::bf16;
    options.server.resum_every = 9;
  }
  five_workers(GetParam(), options)->go();
}

/// In wall time jobs that were thrown away come to their end first, and hand-overs are late.
TEST_P(Verified, HoldsInWallTimeAndInItsReplay) {
  RunOptions options = testing::in_wall_time(150);
  options.time_unit_s = 2e-4;
  const TemporaryFile recording;
  const auto first = five_workers(GetParam(), options);
  {
    RunRecorder recorder(recording.path(), R"({"clock": "wall"})");
    first->observers.push_back(&recorder);
    first->go();
  }
  Recording replay(recording.path());
  const auto second = five_workers(GetParam(), options);
  second->replay = &replay;
  second->go();
  EXPECT_EQ(second->model, first->model);
}

TEST_P(Verified, GoesOnFromACheckpoint) {
  const TemporaryFolder folder;
  RunOptions options = testing::in_virtual_time(60);
  options.checkpoints = at_the_end(folder);
  five_workers(GetParam(), options)->go();
  const auto checkpoints = CheckpointFolder::list(folder.path());
  ASSERT_EQ(checkpoints.size(), 1U);

  const auto whole = five_workers(GetParam(), testing::in_virtual_time(200));
  whole->go();
  const auto rest = five_workers(GetParam(), testing::in_virtual_time(200));
  rest->checkpoint = checkpoints.front();
  rest->go();
  EXPECT_EQ(rest->model, whole->model);

  const auto unverified = five_workers(GetParam(), testing::in_virtual_time(200));
  unverified->verify = false;
  unverified->checkpoint = checkpoints.front();
  unverified->go();
  EXPECT_EQ(unverified->model, whole->model);
}

TEST_P(Verified, GoesOnFromACheckpointInWallTime) {
  const TemporaryFolder folder;
  RunOptions options = testing::in_wall_time(40);
  options.time_unit_s = 2e-4;
  options.checkpoints = at_the_end(folder);
  five_workers(GetParam(), options)->go();
  options.max_updates = 120;
  options.checkpoints = {};
  const auto rest = five_workers(GetParam(), options);
  rest->checkpoint = CheckpointFolder::list(folder.path()).front();
  EXPECT_EQ(rest->go().updates, 120U);
}

/// Then the method begins anew at a model that has a version already.
TEST_P(Verified, GoesOnFromACheckpointOfAnotherNumberOfWorkers) {
  const TemporaryFolder folder;
  RunOptions options = testing::in_virtual_time(40);
  options.checkpoints = at_the_end(folder);
  testing::MethodExperiment(3, GetParam(), "1,2,3", options, 1).go();
  const auto rest = five_workers(GetParam(), testing::in_virtual_time(120));
  rest->checkpoint = CheckpointFolder::list(folder.path()).front();
  EXPECT_EQ(rest->go().updates, 120U);
}

TEST(VerifiedRun, DoesNotGoOnFromOneThatWasNot) {
  const TemporaryFolder folder;
  RunOptions options = testing::in_virtual_time(20);
  options.checkpoints = at_the_end(folder);
  const auto first = five_workers("dude", options);
  first->verify = false;
  first->go();
  const auto rest = five_workers("dude", testing::in_virtual_time(40));
  rest->checkpoint = CheckpointFolder::list(folder.path()).front();
  try {
    rest->go();
    FAIL() << "no error";
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), HasSubstr("verify: expected a checkpoint of a run with --verify"));
  }
}

}  // namespace
}  // namespace tardigrad
