// Ranks whose workers are on GPUs: the server's on a CPU, or all ranks' GPUs keep the model.

#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "runtime/coordinator/coordinator.h"
#include "runtime/ranks/execution_on_ranks.h"
#include "runtime/ranks/workers/rank_worker.h"
#include "tests/runtime/device/gpus.h"
#include "tests/support/chain.h"
#include "tests/support/experiment.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/thread_ranks.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;

/// On a GPU products and sums are contracted otherwise than on a CPU: 60 updates of some roundings, 6e-8
/// each, of numbers of size 1.
constexpr double contraction_tolerance = 2e-5;

/// A run in virtual time over ranks that are threads, of five workers.
struct RankedGpuRun {
  static constexpr int workers = 5;
  static constexpr std::size_t dimension = 5000;

  int ranks = 3;  ///< one: a single process
  std::string method = "dude";
  RunOptions options = in_virtual_time(60);
  bool maps_memory = false;         ///< of rank 0
  bool replicated = false;          ///< every rank keeps the model
  bool from_gpus = false;           ///< messages lie in the memory of GPUs
  bool rank_0_computes = false;     ///< it has workers, too
  std::size_t part = 0;             ///< of models, as RunRanks has it; 0: its default
  std::vector<Device> server = {};  ///< of each rank, where a GPU has it
  std::function<std::vector<Device>(int rank)> devices = [](int) {
    return std::vector<Device>{{Backend::cuda, 0}, {Backend::cuda, 1}};
  };
  std::filesystem::path checkpoint = {};  ///< to go on from
  Recorder recorder = {};

  Device server_of(int rank) const {
    return server.empty() ? Device{} : server[static_cast<std::size_t>(rank)];
  }

  /// The model in the end.
  std::vector<float> go() {
    const Delays delays = Delays::parse("1,2,3,5,9+exponential:0.5", workers, 0);
    const EventScript speeds;
    Chain objective(workers, dimension);
    const auto made = make_method(method, {.workers = workers});
    ThreadRanks transport(ranks);
    if (from_gpus) transport.take_gpu_memory();
    const RankLayout layout(workers, ranks, {}, rank_0_computes ? 0 : 1);
    std::vector<std::jthread> threads;
    for (int rank = 1; rank < ranks; ++rank) {
      threads.emplace_back([&, rank] {
        Chain there(workers, dimension);
        const std::optional kept(KeptModel{options.server, server_of(rank)});
        RankWorker worker(transport.rank(rank), there, layout.workers_of(rank), devices(rank), options.job,
                          replicated ? kept : std::nullopt);
        worker.serve();
      });
    }
    const EndOfRanks end(transport.rank(0));
    RunRanks on{.transport = &transport.rank(0),
                .layout = layout,
                .replicated = replicated,
                .on_gpus = !maps_memory,
                .server = server_of(0),
                .own_devices = rank_0_computes ? devices(0) : std::vector<Device>{}};
    if (part > 0) on.part_of_models = part;
    Execution execution =
        ranks == 1
            ? make_execution(objective, made->memory(), delays, speeds, std::vector{server_of(0)}, options)
            : make_execution_on_ranks(on, objective, made->memory(), delays, speeds, options);
    Coordinator coordinator(objective, *made, std::move(execution), options, {&recorder});
    if (!checkpoint.empty()) coordinator.resume(Checkpoint::read(checkpoint));
    std::vector<float> model(dimension);
    const RunSummary summary = coordinator.run(model, {});
    const bool on_gpus = ranks > 1 || !server.empty();
    EXPECT_EQ(summary.workers.at(workers - 1).device.substr(0, 4), on_gpus ? "cuda" : "cpu:");
    return model;
  }
};

void expect_near(const std::vector<float>& model, const std::vector<float>& expected, double tolerance) {
  ASSERT_EQ(model.size(), expected.size());
  for (std::size_t i = 0; i < model.size(); ++i) ASSERT_NEAR(model[i], expected[i], tolerance) << i;
}

/// A run that ends after 25 updates and goes on from its checkpoint ends as the whole one.
void expect_to_go_on(const std::function<RankedGpuRun(const RunOptions&)>& make_run,
                     const RunOptions& options) {
  const std::vector<float> whole = make_run(options).go();
  const TemporaryFolder folder;
  RankedGpuRun first = make_run(options);
  first.options.max_updates = 25;
  first.options.checkpoints.folder = folder.path();
  first.options.checkpoints.run_json = "{}";
  first.go();
  ASSERT_FALSE(first.recorder.saved.empty());
  RankedGpuRun second = make_run(options);
  second.checkpoint = first.recorder.saved.back().path;
  EXPECT_EQ(second.go(), whole);
}

class RanksWithGpus : public GpusTest<2> {};

TEST_F(RanksWithGpus, GiveTheBitsOfAnyNumberOfThemAndNearlyThoseOfACpu) {
  const std::vector<float> of_three = RankedGpuRun().go();
  EXPECT_EQ(of_three, RankedGpuRun{.ranks = 2}.go());
  EXPECT_EQ(of_three, RankedGpuRun{.maps_memory = true}.go()) << "in memory that ranks have in common";
  EXPECT_EQ(of_three, RankedGpuRun{.rank_0_computes = true}.go());
  expect_near(of_three, RankedGpuRun{.ranks = 1}.go(), contraction_tolerance);
}

TEST_F(RanksWithGpus, TakeLocalSteps) {
  RunOptions options = in_virtual_time(60);
  options.job = {.local_steps = 3, .local_lr = 0.1};
  const std::vector<float> of_three = RankedGpuRun{.options = options}.go();
  EXPECT_NE(of_three, RankedGpuRun().go());
  expect_near(of_three, RankedGpuRun{.ranks = 1, .options = options}.go(), 3 * contraction_tolerance);
}

// The server's kernels read gradients where they have been received, and write models from where they are
// sent.
TEST_F(RanksWithGpus, GiveTheBitsOfOneProcessWithGpusWhereTheServerIsOnOne) {
  for (const char* method : {"dude", "fedbuff", "sync"}) {
    const std::vector<float> alone = RankedGpuRun{.ranks = 1, .method = method, .server = {gpu(0)}}.go();
    for (const bool rank_0_computes : {false, true}) {
      RankedGpuRun run{.method = method, .rank_0_computes = rank_0_computes, .server = {gpu(1), {}, {}}};
      EXPECT_EQ(run.go(), alone) << method;
    }
  }
}

TEST_F(RanksWithGpus, SendModelsInPartsWhileTheServerWritesOthers) {
  for (const Optimizer optimizer : {Optimizer::sgd, Optimizer::adamw}) {
    RunOptions options = in_virtual_time(60);
    options.server.optimizer = optimizer;
    for (const double momentum : {0.0, 0.5}) {
      if (optimizer == Optimizer::sgd) options.server.momentum = momentum;
      RankedGpuRun whole{.options = options, .server = {gpu(1), {}, {}}};
      RankedGpuRun parts{.options = options, .part = 999, .server = {gpu(1), {}, {}}};
      EXPECT_EQ(parts.go(), whole.go());
    }
  }
}

TEST_F(RanksWithGpus, SendFromTheMemoryOfGpusAndReceiveThereWhereTheTransportDoes) {
  if (!describe_devices().front().model.starts_with("Emulated GPU")) GTEST_SKIP() << "needs emulated GPUs";
  EXPECT_EQ((RankedGpuRun{.from_gpus = true, .server = {gpu(1), {}, {}}}.go()),
            (RankedGpuRun{.server = {gpu(1), {}, {}}}.go()));
  EXPECT_EQ(RankedGpuRun{.from_gpus = true}.go(), RankedGpuRun().go()) << "the server on a CPU";
}

TEST_F(RanksWithGpus, GoOnFromACheckpointOfAServerOnAGpu) {
  expect_to_go_on(
      [](const RunOptions& options) {
        return RankedGpuRun{.options = options, .server = {gpu(0), {}, {}}};
      },
      in_virtual_time(60));
}

TEST_F(RanksWithGpus, AddUpOnTheirCpus) {
  const auto run = [](int ranks) {
    return RankedGpuRun{.ranks = ranks, .method = "sync", .replicated = ranks > 1}.go();
  };
  const std::vector<float> of_three = run(3);
  EXPECT_EQ(run(3), of_three);
  expect_near(of_three, run(1), contraction_tolerance);
}

/// Ranks that each keep the model on the first of their GPUs: rank 1 has two of them.
class RanksOverNccl : public GpusTest<4>, public ::testing::WithParamInterface<Optimizer> {
 protected:
  static RankedGpuRun make_run(const RunOptions& options) {
    return {.method = "sync",
            .options = options,
            .replicated = true,
            .server = {gpu(0), gpu(1), gpu(3)},
            .devices = [](int rank) {
              if (rank == 0) return std::vector{gpu(0)};
              return rank == 1 ? std::vector{gpu(1), gpu(2)} : std::vector{gpu(3)};
            }};
  }

  static RunOptions make_options() {
    RunOptions options = in_virtual_time(60);
    options.server.optimizer = GetParam();
    if (GetParam() == Optimizer::sgd) {
      options.server.momentum = 0.5;
    } else {
      options.lr = 0.01;
    }
    return options;
  }
};

// Steps of AdamW are of size lr whatever the gradient's size, so that a rounding error of a small gradient
// counts as much as one of a large one.
TEST_P(RanksOverNccl, TakeTheStepsOfOneServer) {
  const RunOptions options = make_options();
  const std::vector<float> model = make_run(options).go();
  EXPECT_EQ(make_run(options).go(), model);
  const std::vector<float> alone = RankedGpuRun{.ranks = 1, .method = "sync", .options = options}.go();
  const double tolerance = GetParam() == Optimizer::sgd ? contraction_tolerance : 1e-3;
  expect_near(model, alone, tolerance);
  RankedGpuRun with_rank_0 = make_run(options);
  with_rank_0.rank_0_computes = true;
  expect_near(with_rank_0.go(), alone, tolerance);
}

TEST_P(RanksOverNccl, GoOnFromACheckpoint) { expect_to_go_on(make_run, make_options()); }

TEST_P(RanksOverNccl, TrainInWallTime) {
  RunOptions options = make_options();
  options.clock = ClockKind::wall;
  options.time_unit_s = 1e-4;
  options.max_updates = 20;
  RankedGpuRun run = make_run(options);
  run.go();
  EXPECT_EQ(run.recorder.summary.updates, 20U);
}

INSTANTIATE_TEST_SUITE_P(Each, RanksOverNccl, ::testing::Values(Optimizer::sgd, Optimizer::adamw),
                         [](const auto& tested) {
                           return tested.param == Optimizer::sgd ? "momentum" : "adamw";
                         });

}  // namespace
}  // namespace tardigrad
