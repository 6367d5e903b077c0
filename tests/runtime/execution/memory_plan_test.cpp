#include "runtime/execution/memory_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "kernels/update_in_turn.h"
#include "runtime/coordinator/coordinator.h"
#include "tests/runtime/device/backends.h"
#include "tests/support/chain.h"
#include "tests/support/experiment.h"
#include "tests/support/planned_run.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(MemoryPlan, ByHand) {
  const MemoryPlan plan = plan_memory(two_gpus());
  EXPECT_EQ(items_of(plan, gpu(1)), (Items{{"model", 4'000'000},
                                           {"mean", 4'000'000},
                                           {"gradient table (f32)", 40'000'080},
                                           {"copy of another GPU's gradient", 4'000'000},
                                           {"gradients", 20'000'000},
                                           {"scratch of gradients", 3500},
                                           {"data that all workers share", 5000},
                                           {"models handed over", 32'000'000}}));  // 6, and so 8
  EXPECT_EQ(items_of(plan, gpu(2)), (Items{{"gradients", 20'000'000},
                                           {"scratch of gradients", 3500},
                                           {"data that all workers share", 5000},
                                           {"models handed over", 32'000'000}}));
  EXPECT_EQ(plan.total(gpu(2)), 52'008'500U);
  EXPECT_EQ(plan.total(gpu(0)), 0U);
  EXPECT_EQ(plan.devices(), (std::vector<Device>{gpu(1), gpu(2)}));
}

TEST(MemoryPlan, FollowsTheOptions) {
  PlannedRun run = two_gpus();
  run.devices.server = gpu(0);
  run.server = {.momentum = 0.9, .clip_norm = 1, .table_type = TableType::bf16};
  run.server.routes = {{{gpu(0), gpu(1)}, GradientRoute::peer}, {{gpu(0), gpu(2)}, GradientRoute::peer}};
  run.job.local_steps = 2;
  run.memory.jobs = JobSpread::rounds;
  const MemoryPlan plan = plan_memory(run);
  EXPECT_EQ(items_of(plan, gpu(0)), (Items{{"model", 4'000'000},
                                           {"mean", 4'000'000},
                                           {"momentum", 4'000'000},
                                           {"sums for clipping", 245 * 8 + 4},
                                           {"gradient table (bf16)", 20'000'080}}));
  EXPECT_EQ(items_of(plan, gpu(1)).at("local steps"), 40'000'000U);
  EXPECT_EQ(items_of(plan, gpu(1)).at("models handed over"), 4'000'000U);
  run.memory.jobs = JobSpread::anywhere;
  EXPECT_EQ(items_of(plan_memory(run), gpu(2)).at("models handed over"), 64'000'000U);  // 11, and so 16
  run.workers = 1;
  EXPECT_TRUE(items_of(plan_memory(run), gpu(2)).empty());
}

/// In virtual time eight streams a GPU at the most, with two gradients each, or two with two groups each.
TEST(MemoryPlan, OfGroupsOfJobs) {
  PlannedRun run = two_gpus();
  run.wall = false;
  EXPECT_EQ(items_of(plan_memory(run), gpu(2)).at("gradients"), 5 * 2 * 4'000'000U);
  run.at_once = 16;
  EXPECT_EQ(items_of(plan_memory(run), gpu(2)).at("gradients"), 2 * 2 * 5 * 4'000'000U);
  run.workers = 100;
  EXPECT_EQ(items_of(plan_memory(run), gpu(2)).at("gradients"), 2 * 2 * 16 * 4'000'000U);
  EXPECT_EQ(items_of(plan_memory(run), gpu(2)).at("scratch of gradients"), 2 * 700U);
  run.wall = true;
  EXPECT_EQ(items_of(plan_memory(run), gpu(2)).at("gradients"), 50 * 4'000'000U);
}

/// Six workers on one GPU and two on the other, also where streams are fewer.
TEST(MemoryPlan, OfDevicesWithUnequalNumbersOfWorkers) {
  PlannedRun run = two_gpus();
  run.workers = 8;
  run.devices.spread({3, 1});
  run.wall = false;
  for (const std::size_t at_once : {1U, 16U}) {
    run.at_once = at_once;
    EXPECT_EQ(items_of(plan_memory(run), gpu(1)).at("models handed over"), 32'000'000U);  // 7, and so 8
    EXPECT_EQ(items_of(plan_memory(run), gpu(2)).at("models handed over"), 16'000'000U);  // 3, and so 4
  }
}

TEST(MemoryPlan, OfModelsOnEveryGpu) {
  PlannedRun run = two_gpus();
  run.memory = {.tables = 0, .mean = true, .jobs = JobSpread::rounds};
  run.devices.replicated = true;
  const MemoryPlan plan = plan_memory(run);
  for (const Device device : {gpu(1), gpu(2)}) {
    EXPECT_EQ(items_of(plan, device), (Items{{"model", 4'000'000},
                                             {"mean", 4'000'000},
                                             {"gradients", 20'000'000},
                                             {"scratch of gradients", 3500},
                                             {"data that all workers share", 5000},
                                             {"models handed over", 4'000'000}}));
  }
}

// Blocks are 4096 elements: of 245, shards have 81, 82 and 82, the last of which is not full. The first and
// the third lie on the server's GPU.
TEST(MemoryPlan, OfAServerInShards) {
  PlannedRun run = two_gpus();
  run.devices.server_shards = 3;
  run.server.clip_norm = 1;
  const MemoryPlan plan = plan_memory(run);
  constexpr std::size_t second = 82 * 4096;
  constexpr std::size_t others = 1'000'000 - second;
  EXPECT_EQ(items_of(plan, gpu(1)).at("model"), 4 * others);
  EXPECT_EQ(items_of(plan, gpu(1)).at("sums for clipping"), (245 + 163) * 8 + 3 * 4U);
  EXPECT_EQ(items_of(plan, gpu(2)).at("model"), 4 * second);
  EXPECT_EQ(items_of(plan, gpu(2)).at("mean"), 4 * second);
  EXPECT_EQ(items_of(plan, gpu(2)).at("sums for clipping"), 82 * 8 + 4U);
  EXPECT_EQ(items_of(plan, gpu(2)).at("gradient table (f32)"), 40 * vector_stride(second) + 80);
  EXPECT_EQ(items_of(plan, gpu(2)).at("copy of another GPU's gradient"), 4 * second);
}

std::string refusal(const PlannedRun& run, std::size_t free_bytes) {
  try {
    require_memory(run, [free_bytes](Device) { return free_bytes; });
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "accepted";
}

TEST(RequireMemory, LeavesAMargin) {
  const std::size_t needed = plan_memory(two_gpus()).total(gpu(1));
  EXPECT_EQ(refusal(two_gpus(), needed * 8 / 7 + 8), "accepted");
  EXPECT_THAT(refusal(two_gpus(), needed * 8 / 7 - 8), HasSubstr("does not fit"));
  EXPECT_THAT(refusal(two_gpus(), needed), HasSubstr("cuda:1"));
}

TEST(RequireMemory, ListsWhatTakesHowMuchAndWhatWouldFit) {
  const std::string message = refusal(two_gpus(), 100'000'000);
  EXPECT_THAT(message, AllOf(HasSubstr("cuda:1 has 95.4 MiB free"), HasSubstr("needs 99.2 MiB"),
                             HasSubstr("\n  cuda:1     38.1 MiB  gradient table (f32)\n"),
                             HasSubstr("--table-dtype bf16, which needs 80.1 MiB")));
  EXPECT_LT(message.find("gradient table"), message.find("models handed over"));
  EXPECT_THAT(message, Not(HasSubstr("cuda:2")));  // has enough

  // What is said to fit does, and a worker more does not.
  PlannedRun fewer = two_gpus();
  const std::string marker = "--workers ";
  fewer.workers = std::stoi(message.substr(message.find(marker) + marker.size()));
  EXPECT_LT(fewer.workers, 10);
  EXPECT_EQ(refusal(fewer, 100'000'000), "accepted");
  ++fewer.workers;
  EXPECT_NE(refusal(fewer, 100'000'000), "accepted");
}

TEST(RequireMemory, NamesTheFewestShardsThatFit) {
  const std::string message = refusal(two_gpus(), 100'000'000);
  EXPECT_THAT(message, HasSubstr("--server-shards 2"));
  PlannedRun shards = two_gpus();
  shards.devices.server_shards = 2;
  EXPECT_EQ(refusal(shards, 100'000'000), "accepted");
}

TEST(RequireMemory, SaysSoWhereNothingWouldFit) {
  EXPECT_THAT(refusal(two_gpus(), 1'000'000), HasSubstr("neither fewer workers nor"));
  PlannedRun fixed = two_gpus();
  fixed.fixed_workers = true;
  EXPECT_THAT(refusal(fixed, 100'000'000), Not(HasSubstr("--workers")));
}

/// What a run really holds when it ends, on each device.
class HeldBytes final : public RunObserver {
 public:
  explicit HeldBytes(std::vector<Device> devices) : devices_(std::move(devices)) {
    for (const Device device : devices_) before_[device] = memory_allocated(device);
  }
  void on_summary(const RunSummary&) override {
    for (const Device device : devices_) bytes[device] = memory_allocated(device) - before_[device];
  }
  std::map<Device, std::size_t> bytes;

 private:
  std::vector<Device> devices_;
  std::map<Device, std::size_t> before_;
};

/// The plan against what runs allocate: all methods on every backend, in wall and in virtual time.
class PlannedMemory : public ::testing::TestWithParam<std::tuple<Backend, bool, std::string>> {
 protected:
  static constexpr int workers = 7;  // their replicas, doubled until there is one more, are 8

  void SetUp() override {
    if (std::get<0>(GetParam()) == Backend::cuda && cuda_device_count() == 0) {
      GTEST_SKIP() << "no GPU: " << why_no_cuda();
    }
  }

  static std::vector<Device> devices() {
    const Backend backend = std::get<0>(GetParam());
    const int count = backend == Backend::cpu ? 2 : std::min(2, cuda_device_count());
    std::vector<Device> devices;
    for (int i = 0; i < count; ++i) devices.push_back({backend, i});
    return devices;
  }

  static Devices devices_of(const RunOptions& options) {
    return options.hand_over_on_device ? Devices({devices().front()}) : Devices(devices());
  }

  static RunOptions options_of_run(std::uint64_t updates) {
    RunOptions options = std::get<1>(GetParam()) ? in_wall_time(updates) : in_virtual_time(updates);
    options.lr = 0.01;
    options.server = {.momentum = 0.5, .clip_norm = 1};
    if (std::get<2>(GetParam()) == "sync") options.server = {.optimizer = Optimizer::adamw, .clip_norm = 1};
    if (std::get<2>(GetParam()) == "fedbuff") options.job = {.local_steps = 2, .local_lr = 0.1};
    if (make_method(std::get<2>(GetParam()), {.workers = workers})->memory().tables > 0) {
      options.server.resum_every = 50;
    }
    return options;
  }

  /// Also runs it; `held` is what the run held at its end.
  static MemoryPlan plan(const RunOptions& options, std::map<Device, std::size_t>& held,
                         std::size_t dimension = 100, std::size_t shards = 1) {
    const auto method = make_method(std::get<2>(GetParam()), {.workers = workers});
    Chain objective(workers, dimension);
    PlannedRun run;
    run.dimension = dimension;
    run.workers = workers;
    run.memory = method->memory();
    run.server = options.server;
    run.job = options.job;
    run.devices = devices_of(options);
    run.in_turn = options.hand_over_on_device;
    run.devices.server_shards = shards;
    run.wall = options.clock == ClockKind::wall;
    run.lookahead = !run.wall && runs_ahead_on_threads(run.devices);
    run.engine = [&](Device device, std::span<const int> of) { return objective.engine_memory(device, of); };
    HeldBytes observer(devices());
    const Delays delays = Delays::parse(run.wall ? "measured" : "linear:1:0.1", workers, 0);
    const EventScript speeds;
    Coordinator coordinator(objective, *method,
                            make_execution(objective, method->memory(), delays, speeds, run.devices, options),
                            options, {&observer});
    std::vector<float> model(dimension);
    coordinator.run(model, {});
    held = observer.bytes;
    return plan_memory(run);
  }
};

TEST_P(PlannedMemory, IsWhatRunsAllocate) {
  const RunOptions options = options_of_run(200);
  std::map<Device, std::size_t> held;
  const MemoryPlan planned = plan(options, held);
  for (const auto& [device, bytes] : held) {
    if (device != planned.devices().front() && device.backend == Backend::cpu) continue;  // counted together
    // The plan leaves out single numbers: a time for each of at most 2 jobs a worker.
    constexpr std::size_t numbers = 2 * workers * sizeof(double);
    // It allows for more models in flight than there may have been.
    const std::size_t in_flight = items_of(planned, device).at("models handed over");
    EXPECT_LE(bytes, planned.total(device) + numbers) << device.name();
    EXPECT_GT(bytes, planned.total(device) - in_flight) << device.name();
    const bool exact = std::get<2>(GetParam()) == "asgd" || std::get<2>(GetParam()) == "sync";
    const bool one_memory = device.backend == Backend::cpu || held.size() == 1;
    if (exact && one_memory && !std::get<1>(GetParam())) {
      EXPECT_GE(bytes, planned.total(device));
    }
  }
}

TEST_P(PlannedMemory, IsWhatRunsInTurnAllocate) {
  if (!std::get<1>(GetParam()) || !has_feature(std::get<2>(GetParam()), Feature::each_arrival)) return;
  RunOptions options = in_wall_time(200);
  options.lr = 0.01;
  options.hand_over_on_device = true;
  std::map<Device, std::size_t> held;
  const MemoryPlan planned = plan(options, held);
  const Device device = planned.devices().front();
  // Of each worker two times of each slot, and what it has of turns; what all have of these.
  constexpr std::size_t numbers =
      workers * (4 * sizeof(double) + sizeof(TurnOfStream)) + sizeof(std::uint64_t) + sizeof(std::uint32_t);
  EXPECT_LE(held.at(device), planned.total(device) + numbers);
  EXPECT_GE(held.at(device), planned.total(device));
}

TEST_P(PlannedMemory, IsWhatRunsInShardsAllocate) {
  const RunOptions options = options_of_run(20);
  std::map<Device, std::size_t> held;
  const MemoryPlan planned = plan(options, held, 3 * shard_block, 3);
  for (const auto& [device, bytes] : held) {
    if (device != planned.devices().front() && device.backend == Backend::cpu) continue;  // counted together
    constexpr std::size_t numbers = 2 * workers * sizeof(double);
    EXPECT_LE(bytes, planned.total(device) + numbers) << device.name();
    EXPECT_GT(bytes, planned.total(device) - items_of(planned, device).at("models handed over"));
  }
}

INSTANTIATE_TEST_SUITE_P(AllMethods, PlannedMemory,
                         ::testing::Combine(::testing::Values(Backend::cpu, Backend::cuda), ::testing::Bool(),
                                            ::testing::ValuesIn(method_names())),
                         [](const auto& tested) {
                           std::string name = std::get<2>(tested.param);
                           std::replace(name.begin(), name.end(), '-', '_');
                           return ::testing::PrintToString(std::get<0>(tested.param)) +
                                  (std::get<1>(tested.param) ? "_wall_" : "_virtual_") + name;
                         });

}  // namespace
}  // namespace tardigrad
