// Whole runs with a server in shards: the bits and the checkpoints are those of one server.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/runtime/device/backends.h"
#include "tests/support/all_checkpoints.h"
#include "tests/support/patient_run.h"
#include "tests/support/sharded_run.h"
#include "tests/support/temporary_file.h"
#include "tests/support/temporary_folder.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;

class ShardedMethods : public OfBackendAndMethod {
 protected:
  static std::unique_ptr<ShardedRun> made(std::size_t shards, const ServerOptions& server) {
    auto run = std::make_unique<ShardedRun>(backend(), method(), shards, in_virtual_time(40));
    run->options.server = server;
    return run;
  }
};

TEST_P(ShardedMethods, GiveTheBitsOfOneServer) {
  const TemporaryFile file;
  for (const ServerOptions& server : {ServerOptions{}, everything(method())}) {
    const auto one = made(1, server);
    one->speeds = EventScript::read(file.write(loss_and_return), ShardedRun::workers);
    one->go();
    for (const std::size_t shards : {2U, 4U}) {
      const auto several = made(shards, server);
      several->speeds = one->speeds;
      several->go();
      EXPECT_TRUE(several->model == one->model) << shards;
      EXPECT_EQ(several->sequence(), one->sequence()) << shards;
      EXPECT_EQ(several->recorder.summary.largest_drift, one->recorder.summary.largest_drift) << shards;
      if (HasFailure() || backend() == Backend::cuda) break;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, ShardedMethods,
                         ::testing::Combine(every_backend(), ::testing::ValuesIn(method_names())),
                         OfBackendAndMethod::name);

class ShardedRuns : public BackendTest {
 protected:
  std::unique_ptr<ShardedRun> made(const std::string& method, std::size_t shards, std::uint64_t updates) {
    auto run = std::make_unique<ShardedRun>(GetParam(), method, shards, in_virtual_time(updates));
    run->options.server = everything(method);
    return run;
  }

  TemporaryFolder folder_;
};

// The order of arrivals is all that a run in wall time depends on.
TEST_P(ShardedRuns, InWallTimeGiveWhatTheirOrderSays) {
  const TemporaryFile file;
  for (const std::string method : {"dude", "ringleader", "asgd"}) {
    RunOptions options = in_wall_time(40);
    options.server = everything(method);
    ShardedRun several(GetParam(), method, 3, options);
    several.delays = Delays::parse("measured", ShardedRun::workers, 0);
    {
      RunRecorder recorder(file.path(), R"({"clock":"wall"})");
      several.go(&recorder);
    }
    ShardedRun one(GetParam(), method, 1, options);
    one.delays = several.delays;
    Recording recording(file.path());
    one.go(nullptr, &recording);
    EXPECT_TRUE(one.model == several.model) << method;
  }
}

TEST_P(ShardedRuns, LeaveTheCheckpointsOfOneServer) {
  for (const std::string method : {"dude", "ca2fl", "sync"}) {
    std::vector<std::filesystem::path> last;
    for (const std::size_t shards : {1U, 3U}) {
      const auto run = made(method, shards, 30);
      const auto folder = folder_.path() / (method + std::to_string(shards));
      run->options.checkpoints = all_checkpoints_in(folder, 1000);
      run->go();
      last.push_back(CheckpointFolder::list(folder).back());
    }
    for (const char* name : {"model.safetensors", "state.safetensors"}) {
      EXPECT_FALSE(read_file(last[0] / name).empty());
      EXPECT_TRUE(read_file(last[1] / name) == read_file(last[0] / name)) << method << ", " << name;
    }
    EXPECT_EQ(Checkpoint::read(last[1]).state()["server"], Checkpoint::read(last[0]).state()["server"]);
  }
}

// Each is taken while the run goes on, and rows and replicas are written anew.
TEST_P(ShardedRuns, GoOnFromACheckpointWithAnyNumberOfShards) {
  constexpr std::uint64_t updates = 40;
  for (const std::string method : {"dude", "ca2fl"}) {
    const auto folder = folder_.path() / method;
    const auto whole = made(method, 3, updates);
    whole->options.checkpoints = all_checkpoints_in(folder, 1);
    PatientRun patience(folder);
    whole->go(&patience);
    const auto checkpoints = CheckpointFolder::list(folder);
    ASSERT_GE(checkpoints.size(), 2U);
    const std::size_t stride = GetParam() == Backend::cpu ? 1 : 1 + checkpoints.size() / 4;
    for (std::size_t i = 0; i < checkpoints.size(); i += stride) {
      const auto rest = made(method, (i / stride + 3) % 4 + 1, updates);
      rest->checkpoint = checkpoints[i];
      rest->go();
      EXPECT_TRUE(rest->model == whole->model) << checkpoints[i];
      EXPECT_EQ(rest->recorder.summary.largest_drift, whole->recorder.summary.largest_drift);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, ShardedRuns, every_backend(), backend_name);

}  // namespace
}  // namespace tardigrad
