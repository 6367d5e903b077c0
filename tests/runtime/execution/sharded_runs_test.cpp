// Whole runs with a server in shards: the bits and the checkpoints are those of one server.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "runtime/coordinator/coordinator.h"
#include "runtime/server/shard.h"
#include "tests/runtime/device/backends.h"
#include "tests/support/chain.h"
#include "tests/support/experiment.h"
#include "tests/support/patient_run.h"
#include "tests/support/temporary_file.h"
#include "tests/support/temporary_folder.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;

/// A run of a method on Chain, with what is special about it, on all devices of a backend (two of the CPU).
struct ShardedRun {
  ShardedRun(Backend backend, const std::string& name, std::size_t shards, const RunOptions& run_options)
      : method_name(name),
        method_options{.workers = workers},
        options(run_options),
        devices(parse_devices(backend == Backend::cpu ? "cpu:2" : "cuda")) {
    devices.server_shards = shards;
    options.lr = 0.05;
    options.evaluate_every_updates = 10;
    set_special_options(name, method_options, options);
    if (has_feature(name, Feature::lost_rows)) method_options.lost_rows = LostRows::drop;
  }

  void go(RunObserver* observer = nullptr, Recording* replay = nullptr) {
    Chain objective(workers, dimension);
    method_options.lr = options.lr;
    auto method = std::make_unique<VerifiedMethod>(make_method(method_name, method_options), method_name,
                                                   method_options);
    options.verified = method.get();
    std::vector<RunObserver*> observers{&recorder};
    if (observer) observers.push_back(observer);
    model.assign(dimension, 1.0F);
    Coordinator coordinator(
        objective, *method,
        make_execution(objective, method->memory(), delays, speeds, devices, options, replay), options,
        observers);
    if (!checkpoint.empty()) coordinator.resume(Checkpoint::read(checkpoint));
    coordinator.run(model, {});
  }

  /// (time, worker, staleness, loss) of every update.
  std::vector<std::tuple<double, int, std::uint64_t, float>> sequence() const {
    std::vector<std::tuple<double, int, std::uint64_t, float>> updates;
    for (const UpdateRecord& update : recorder.updates) {
      updates.emplace_back(update.time, update.worker, update.staleness, update.loss);
    }
    return updates;
  }

  static constexpr int workers = 4;
  static constexpr std::size_t dimension = 3 * shard_block + 331;
  std::string method_name;
  MethodOptions method_options;
  Delays delays = Delays::parse("linear:1:0.7+exponential:0.5", workers, 0);
  EventScript speeds;
  RunOptions options;
  Devices devices;
  std::filesystem::path checkpoint;  // to go on from
  Recorder recorder;
  std::vector<float> model;
};

/// All that the server can add to a method.
ServerOptions everything(const std::string& method) {
  ServerOptions options{.momentum = 0.5, .weight_decay = 0.01, .clip_norm = 2};
  if (!has_feature(method, Feature::table)) return options;
  options.table_type = TableType::bf16;
  options.resum_every = 7;
  return options;
}

class ShardedMethods : public ::testing::TestWithParam<std::tuple<Backend, std::string>> {
 protected:
  void SetUp() override {
    if (backend() == Backend::cuda && cuda_device_count() == 0) GTEST_SKIP() << "no GPU: " << why_no_cuda();
  }
  static Backend backend() { return std::get<0>(GetParam()); }
  static const std::string& method() { return std::get<1>(GetParam()); }

  /// A worker fails, and comes back.
  static std::string events() {
    return "[[event]]\ntime = 9\nworker = 2\nstate = \"failed\"\n"
           "[[event]]\ntime = 16\nworker = 2\nstate = \"working\"\n";
  }

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
    one->speeds = EventScript::read(file.write(events()), ShardedRun::workers);
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

std::string name_of_run(const ::testing::TestParamInfo<std::tuple<Backend, std::string>>& tested) {
  const auto& [backend, method] = tested.param;
  return ::testing::PrintToString(backend) + "_" + method_title({method, 0});
}

INSTANTIATE_TEST_SUITE_P(Backends, ShardedMethods,
                         ::testing::Combine(every_backend(), ::testing::ValuesIn(method_names())),
                         name_of_run);

class ShardedRuns : public BackendTest {
 protected:
  static std::string bytes_of(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  std::unique_ptr<ShardedRun> made(const std::string& method, std::size_t shards, std::uint64_t updates) {
    auto run = std::make_unique<ShardedRun>(GetParam(), method, shards, in_virtual_time(updates));
    run->options.server = everything(method);
    return run;
  }

  static CheckpointOptions into(const std::filesystem::path& folder, std::uint64_t every_updates) {
    CheckpointOptions options;
    options.folder = folder;
    options.every_updates = every_updates;
    options.keep = 1000;
    options.run_json = "{}";
    return options;
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
      run->options.checkpoints = into(folder, 1000);
      run->go();
      last.push_back(CheckpointFolder::list(folder).back());
    }
    for (const char* name : {"model.safetensors", "state.safetensors"}) {
      EXPECT_FALSE(bytes_of(last[0] / name).empty());
      EXPECT_TRUE(bytes_of(last[1] / name) == bytes_of(last[0] / name)) << method << ", " << name;
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
    whole->options.checkpoints = into(folder, 1);
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
