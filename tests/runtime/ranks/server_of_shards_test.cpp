// Whole runs whose server is in shards on ranks: the bits and the checkpoints are those of one process.

#include "runtime/ranks/servers/server_of_shards.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <stop_token>
#include <thread>
#include <vector>

#include "runtime/ranks/execution_on_ranks.h"
#include "runtime/ranks/servers/rank_shard.h"
#include "runtime/ranks/workers/rank_worker.h"
#include "tests/runtime/device/gpus.h"
#include "tests/support/all_checkpoints.h"
#include "tests/support/patient_run.h"
#include "tests/support/sharded_run.h"
#include "tests/support/temporary_file.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/thread_ranks.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;

/// Is the same run on ranks that are threads: each shard on one, and the workers on as many others.
struct RankedShards final : ShardedRun {
  RankedShards(const std::string& name, std::size_t rank_shards, int worker_ranks,
               const RunOptions& run_options, Backend backend = Backend::cpu)
      : ShardedRun(backend, name, 1, run_options),
        shards(rank_shards),
        ranks(static_cast<int>(rank_shards) + worker_ranks) {}

  void go(RunObserver* observer = nullptr, Recording* replay = nullptr) override {
    ThreadRanks job(ranks);
    if (from_gpus) job.take_gpu_memory();
    const auto servers = static_cast<int>(shards);
    const RankLayout layout(workers, ranks, {}, servers);
    const ServerMemory memory = make_method(method_name, method_options)->memory();
    std::vector<std::jthread> threads;
    for (int rank = 1; rank < servers; ++rank) {
      threads.emplace_back([&, rank, here = cut_into_shards(dimension, shards)[rank]] {
        RankShard(job.rank(rank), dimension, here, workers, memory, options.server, server_of(rank)).serve();
      });
    }
    for (int rank = servers; rank < ranks; ++rank) {
      threads.emplace_back([&, rank] {
        Chain objective(workers, dimension);
        RankWorker(job.rank(rank), objective, layout.workers_of(rank), devices.workers, options.job, {},
                   shards)
            .serve();
      });
    }
    const EndOfRanks end(job.rank(0), shards);
    transport = &job.rank(0);
    if (prepare) prepare(job);
    ShardedRun::go(observer, replay);
  }

  Execution execution(Objective& objective, ServerMemory memory, Recording* replay) override {
    const RankLayout layout(workers, ranks, {}, static_cast<int>(shards));
    const RunRanks on{.transport = transport,
                      .layout = layout,
                      .shards = shards,
                      .on_gpus = devices.workers.front().backend == Backend::cuda,
                      .server = server_of(0)};
    return make_execution_on_ranks(on, objective, memory, delays, speeds, options, replay);
  }

  /// A GPU each, in turn, or a CPU.
  Device server_of(int rank) const { return devices.of_worker(static_cast<std::size_t>(rank)); }

  std::size_t shards;
  int ranks;
  bool from_gpus = false;  ///< messages lie in the memory of GPUs
  Transport* transport = nullptr;
  std::function<void(ThreadRanks& job)> prepare;
};

RunOptions options_of(const std::string& method, std::uint64_t updates) {
  RunOptions options = in_virtual_time(updates);
  options.server = everything(method);
  return options;
}

class ServerOfShardsMethods : public ::testing::TestWithParam<std::string> {};

TEST_P(ServerOfShardsMethods, GiveTheBitsOfOneProcess) {
  const TemporaryFile file;
  const EventScript speeds = EventScript::read(file.write(loss_and_return), ShardedRun::workers);
  ShardedRun one(Backend::cpu, GetParam(), 1, options_of(GetParam(), 40));
  one.speeds = speeds;
  one.go();
  RankedShards several(GetParam(), 3, 2, one.options);
  several.speeds = speeds;
  several.go();
  EXPECT_TRUE(several.model == one.model);
  EXPECT_EQ(several.sequence(), one.sequence());
  EXPECT_EQ(several.recorder.summary.largest_drift, one.recorder.summary.largest_drift);
}

INSTANTIATE_TEST_SUITE_P(Each, ServerOfShardsMethods, ::testing::ValuesIn(method_names()), method_title);

TEST(ServerOfShards, TakesPlainStepsAsOneProcessDoes) {
  for (const std::string method : {"dude", "asgd"}) {
    ShardedRun one(Backend::cpu, method, 1, in_virtual_time(40));
    one.go();
    for (const std::size_t shards : {2U, 4U}) {
      RankedShards several(method, shards, 1, in_virtual_time(40));
      several.go();
      EXPECT_TRUE(several.model == one.model) << method << ", " << shards;
    }
  }
}

// The order of arrivals is all that a run in wall time depends on.
TEST(ServerOfShards, InWallTimeGivesWhatTheirOrderSays) {
  const TemporaryFile file;
  for (const std::string method : {"dude", "ringleader", "asgd"}) {
    RunOptions options = in_wall_time(40);
    options.server = everything(method);
    RankedShards several(method, 3, 2, options);
    several.delays = Delays::parse("measured", ShardedRun::workers, 0);
    {
      RunRecorder recorder(file.path(), R"({"clock":"wall"})");
      several.go(&recorder);
    }
    ShardedRun one(Backend::cpu, method, 1, options);
    one.delays = several.delays;
    Recording recording(file.path());
    one.go(nullptr, &recording);
    EXPECT_TRUE(one.model == several.model) << method;
  }
}

TEST(ServerOfShards, LeavesTheCheckpointsOfOneProcess) {
  const TemporaryFolder folder;
  for (const std::string method : {"dude", "ca2fl", "sync"}) {
    ShardedRun one(Backend::cpu, method, 1, options_of(method, 30));
    RankedShards several(method, 3, 2, options_of(method, 30));
    std::vector<std::filesystem::path> last;
    for (ShardedRun* run : {&one, static_cast<ShardedRun*>(&several)}) {
      const auto into = folder.path() / (method + std::to_string(last.size()));
      run->options.checkpoints = all_checkpoints_in(into, 1000);
      run->go();
      last.push_back(CheckpointFolder::list(into).back());
    }
    for (const char* name : {"model.safetensors", "state.safetensors"}) {
      EXPECT_FALSE(read_file(last[0] / name).empty());
      EXPECT_TRUE(read_file(last[1] / name) == read_file(last[0] / name)) << method << ", " << name;
    }
    EXPECT_EQ(Checkpoint::read(last[1]).state()["server"], Checkpoint::read(last[0]).state()["server"]);
  }
}

// Each is taken while the run goes on, and rows and replicas are written anew.
TEST(ServerOfShards, GoesOnFromACheckpointWithAnyNumberOfShards) {
  constexpr std::uint64_t updates = 40;
  const TemporaryFile file;
  const EventScript speeds = EventScript::read(file.write(loss_and_return), ShardedRun::workers);
  for (const std::string method : {"dude", "ca2fl", "asgd-uniform"}) {
    const TemporaryFolder folder;
    RankedShards whole(method, 3, 2, options_of(method, updates));
    whole.speeds = speeds;
    whole.options.checkpoints = all_checkpoints_in(folder.path(), 1);
    PatientRun patience(folder.path());
    whole.go(&patience);
    const auto checkpoints = CheckpointFolder::list(folder.path());
    ASSERT_GE(checkpoints.size(), 2U);
    for (std::size_t i = 0; i < checkpoints.size(); ++i) {
      RankedShards ranks(method, (i + 2) % 3 + 2, 1 + static_cast<int>(i) % 3, options_of(method, updates));
      ShardedRun process(Backend::cpu, method, 1, options_of(method, updates));
      ShardedRun& rest = i % 3 == 2 ? process : ranks;
      rest.speeds = speeds;
      rest.checkpoint = checkpoints[i];
      rest.go();
      EXPECT_TRUE(rest.model == whole.model) << checkpoints[i];
      EXPECT_EQ(rest.recorder.summary.largest_drift, whole.recorder.summary.largest_drift);
    }
  }
}

/// Mends the connection between two ranks when a worker has been lost, and ends the run when it is back.
struct MendsBehindALoss final : RunObserver {
  void on_worker_change(const WorkerChange& change) override {
    (change.lost ? lost : back).push_back(change.worker);
    if (change.lost) {
      job->mend();
    } else {
      stop.request_stop();
    }
  }

  ThreadRanks* job = nullptr;
  std::stop_source stop;
  std::vector<int> lost;
  std::vector<int> back;
};

// Rank 4, which has the workers 1 and 3, sends shard 1 nothing.
TEST(ServerOfShards, DoesNotWaitForAPartOfAGradientThatDoesNotCome) {
  RunOptions options = in_wall_time(1'000'000);
  options.worker_timeout_s = 1;  // longer than a machine stalls, mostly
  RankedShards run("dude", 3, 2, options);
  run.delays = Delays::parse("measured", ShardedRun::workers, 0);
  MendsBehindALoss observer;
  run.prepare = [&observer](ThreadRanks& job) {
    observer.job = &job;
    job.cut(4, 1);
  };
  run.stop = observer.stop.get_token();
  run.go(&observer);
  EXPECT_THAT(observer.lost, ::testing::IsSupersetOf({1}));
  EXPECT_FALSE(observer.back.empty());
  EXPECT_EQ(run.recorder.summary.stop_reason, StopReason::interrupted);
}

/// Fails in the middle of a checkpoint, whose vectors are then on their way.
struct FailsWithinACheckpoint final : RunObserver {
  void on_checkpoint(const CheckpointRecord&) override { throw std::runtime_error("it fell over"); }
};

TEST(ServerOfShards, LetsTheShardsLeaveHoweverARunEnds) {
  const TemporaryFolder folder;
  RankedShards run("dude", 3, 2, options_of("dude", 40));
  run.options.checkpoints = all_checkpoints_in(folder.path(), 10);
  FailsWithinACheckpoint observer;
  EXPECT_THROW(run.go(&observer), std::runtime_error);
}

TEST(ServerOfShards, AreNotMoreThanTheBlocksOfAVector) {
  RankedShards run("dude", 5, 1, options_of("dude", 40));
  EXPECT_THROW(run.go(), std::invalid_argument);
}

class ShardsOnGpus : public GpusTest<2> {
 protected:
  static RankedShards sharded(const std::string& method, const RunOptions& options) {
    return {method, 3, 2, options, Backend::cuda};
  }
};

TEST_F(ShardsOnGpus, GiveTheBitsOfOneProcess) {
  const bool emulated = describe_devices().front().model.starts_with("Emulated GPU");
  for (const std::string method : {"dude", "ca2fl"}) {
    ShardedRun one(Backend::cuda, method, 1, options_of(method, 16));
    one.go();
    for (const bool from_gpus : {false, true}) {
      if (from_gpus && !emulated) continue;  // their memory is not the host's
      RankedShards several = sharded(method, options_of(method, 16));
      several.from_gpus = from_gpus;
      several.go();
      EXPECT_TRUE(several.model == one.model) << method;
      EXPECT_EQ(several.sequence(), one.sequence());
      EXPECT_EQ(several.recorder.summary.largest_drift, one.recorder.summary.largest_drift);
    }
  }
}

TEST_F(ShardsOnGpus, GoOnFromCheckpointsThatAreTakenMeanwhile) {
  const TemporaryFolder folder;
  RankedShards whole = sharded("ca2fl", options_of("ca2fl", 20));
  whole.options.checkpoints = all_checkpoints_in(folder.path(), 1);
  PatientRun patience(folder.path());
  whole.go(&patience);
  const auto checkpoints = CheckpointFolder::list(folder.path());
  ASSERT_GE(checkpoints.size(), 2U);
  for (const auto& checkpoint : {checkpoints.front(), checkpoints.back()}) {
    RankedShards rest = sharded("ca2fl", options_of("ca2fl", 20));
    rest.checkpoint = checkpoint;
    rest.go();
    EXPECT_TRUE(rest.model == whole.model) << checkpoint;
  }
}

TEST_F(ShardsOnGpus, InWallTimeGiveWhatTheirOrderSays) {
  const TemporaryFile file;
  RankedShards several = sharded("dude", in_wall_time(20));
  several.delays = Delays::parse("measured", ShardedRun::workers, 0);
  {
    RunRecorder recorder(file.path(), R"({"clock":"wall"})");
    several.go(&recorder);
  }
  ShardedRun one(Backend::cuda, "dude", 1, several.options);
  one.delays = several.delays;
  Recording recording(file.path());
  one.go(nullptr, &recording);
  EXPECT_TRUE(one.model == several.model);
}

}  // namespace
}  // namespace tardigrad
