// What the ranks of a run need.

#include <gtest/gtest.h>

#include "runtime/execution/memory_plan.h"
#include "tests/support/planned_run.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;

TEST(MemoryPlan, ARankNeedsWhatItsPartOfTheRunTakes) {
  PlannedRun run = two_gpus();
  run.devices = Devices({{Backend::cpu, 0}, {Backend::cpu, 1}});
  run.rank = 0;
  EXPECT_EQ(items_of(plan_memory(run), Device{}),
            (Items{{"model", 4'000'000},
                   {"mean", 4'000'000},
                   {"gradient table (f32)", 40'000'000},
                   {"gradients", 48'000'000},
                   {"data that all workers share", 5000},
                   {"models handed over", 64'000'000}}));  // 11, and so 16
  run.rank = 1;
  run.workers_on_rank = {0, 3, 6, 9};
  EXPECT_EQ(items_of(plan_memory(run), Device{}), (Items{{"gradients", 16'000'000},
                                                         {"scratch of gradients", 1400},
                                                         {"data that all workers share", 5000},
                                                         {"models handed over", 20'000'000}}));
}

TEST(MemoryPlan, RanksOfOneMachineHaveModelsAndGradientsInCommon) {
  PlannedRun run = two_gpus();
  run.devices = Devices({{Backend::cpu, 0}, {Backend::cpu, 1}});
  run.rank = 0;
  run.workers_sharing = 9;
  EXPECT_EQ(items_of(plan_memory(run), Device{}).at("gradients"), 48'000'000U);  // two of another machine's
  run.workers_sharing = 10;
  EXPECT_EQ(items_of(plan_memory(run), Device{}).at("gradients"), 40'000'000U);
  run.rank = 1;
  run.workers_on_rank = {0, 3, 6, 9};
  run.shares_with_rank_0 = true;
  EXPECT_EQ(items_of(plan_memory(run), Device{}),
            (Items{{"scratch of gradients", 1400}, {"data that all workers share", 5000}}));
}

TEST(MemoryPlan, AWorkerOfARankHasAModelAndAGradientOnItsGpu) {
  PlannedRun run = two_gpus();
  run.devices = Devices({gpu(0), gpu(1)});
  run.rank = 0;
  EXPECT_EQ(plan_memory(run).devices(), std::vector<Device>{Device{}});
  run.rank = 1;
  run.workers_on_rank = {0, 3, 6};
  const MemoryPlan plan = plan_memory(run);
  EXPECT_EQ(items_of(plan, gpu(0)).at("a model and a gradient of each worker"), 16'000'000U);
  EXPECT_EQ(items_of(plan, gpu(1)).at("a model and a gradient of each worker"), 8'000'000U);
  EXPECT_EQ(items_of(plan, Device{}), (Items{{"gradients", 24'000'000}, {"models handed over", 16'000'000}}));
  run.vectors_of_rank = gpu(0);
  EXPECT_EQ(items_of(plan_memory(run), Device{}), Items{});
  EXPECT_EQ(items_of(plan_memory(run), gpu(0)).at("gradients"), 24'000'000U);
  run.rank = 0;
  run.workers_on_rank = {};
  run.server_of_rank = run.vectors_of_rank = gpu(1);
  EXPECT_EQ(plan_memory(run).devices(), std::vector<Device>{gpu(1)}) << "the server, too";
}

TEST(MemoryPlan, RankZeroHasWorkersBesideTheServer) {
  PlannedRun run = two_gpus();
  run.devices = Devices({gpu(0), gpu(1)});
  run.rank = 0;
  const Items without = items_of(plan_memory(run), Device{});
  run.workers_on_rank = {0};
  const MemoryPlan plan = plan_memory(run);
  EXPECT_EQ(items_of(plan, Device{}), without);
  EXPECT_EQ(items_of(plan, gpu(0)).at("a model and a gradient of each worker"), 8'000'000U);
  run.replicated_on_ranks = true;
  EXPECT_EQ(items_of(plan_memory(run), Device{}).at("gradients"), 12'000'000U) << "one, and two being read";
}

/// Returns rank 0's part of a run of sync whose model every rank keeps.
PlannedRun kept_by_all_ranks() {
  PlannedRun run = two_gpus();
  run.memory = {.tables = 0, .mean = true, .jobs = JobSpread::rounds};
  run.replicated_on_ranks = true;
  run.rank = 0;
  return run;
}

TEST(MemoryPlan, EveryRankHasAServerWhereAllKeepTheModel) {
  PlannedRun run = kept_by_all_ranks();
  run.devices = Devices({{Backend::cpu, 0}, {Backend::cpu, 1}});
  EXPECT_EQ(items_of(plan_memory(run), Device{}), (Items{{"model", 4'000'000},
                                                         {"mean", 4'000'000},
                                                         {"part of the sum of all ranks", 4'000'000},
                                                         {"data that all workers share", 5000},
                                                         {"models handed over", 4'000'000}}));
  run.rank = 1;
  run.workers_on_rank = {0, 3, 6, 9};
  EXPECT_EQ(items_of(plan_memory(run), Device{}), (Items{{"model", 4'000'000},
                                                         {"mean", 4'000'000},
                                                         {"part of the sum of all ranks", 4'000'000},
                                                         {"gradients", 24'000'000},
                                                         {"scratch of gradients", 1400},
                                                         {"data that all workers share", 5000},
                                                         {"models handed over", 20'000'000}}));
}

TEST(MemoryPlan, EveryRankHasAServerOnItsGpuWhereThoseKeepTheModel) {
  PlannedRun run = kept_by_all_ranks();
  run.server_of_rank = run.vectors_of_rank = gpu(1);
  EXPECT_EQ(items_of(plan_memory(run), gpu(1)), (Items{{"model", 4'000'000},
                                                       {"mean", 4'000'000},
                                                       {"data that all workers share", 5000},
                                                       {"models handed over", 4'000'000}}));
  run.rank = 1;
  run.workers_on_rank = {0, 3, 6};
  EXPECT_EQ(items_of(plan_memory(run), gpu(1)), (Items{{"model", 4'000'000},
                                                       {"mean", 4'000'000},
                                                       {"gradients", 24'000'000},
                                                       {"a model and a gradient of each worker", 16'000'000},
                                                       {"scratch of gradients", 1400},
                                                       {"data that all workers share", 5000},
                                                       {"models handed over", 16'000'000}}));
  EXPECT_EQ(items_of(plan_memory(run), gpu(2)), (Items{{"a model and a gradient of each worker", 8'000'000},
                                                       {"scratch of gradients", 700},
                                                       {"data that all workers share", 5000}}));
  EXPECT_EQ(items_of(plan_memory(run), Device{}), (Items{}));
}

TEST(ShowMemory, OfRanksSaysWhatEachDeviceOfThemNeeds) {
  const MemoryPlan of_server{.items = {{Device{}, "model", 2048}}};
  const MemoryPlan of_gpus{.items = {{Device{}, "gradients", 1024}, {gpu(0), "scratch", 512}}};
  EXPECT_EQ(show_memory_of_ranks(std::vector{of_server, of_gpus, of_gpus, MemoryPlan{}}),
            "rank 0: 2.0 KiB\n"
            "  cpu:0       2.0 KiB  model\n"
            "ranks 1 to 2, each: 1.0 KiB of cpu:0, 512 B of cuda:0\n"
            "  cpu:0       1.0 KiB  gradients\n"
            "  cuda:0        512 B  scratch\n"
            "rank 3: 0 B");
}

}  // namespace
}  // namespace tardigrad
