// Ranks whose workers are on GPUs, the server's on a CPU.

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "runtime/coordinator/coordinator.h"
#include "runtime/ranks/execution_on_ranks.h"
#include "runtime/ranks/rank_worker.h"
#include "tests/runtime/device/gpus.h"
#include "tests/support/chain.h"
#include "tests/support/experiment.h"
#include "tests/support/thread_ranks.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;

class RanksWithGpus : public GpusTest<2> {
 protected:
  static constexpr int workers = 5;
  static constexpr std::size_t dimension = 5000;

  /// The model after a run of dude in virtual time, over ranks that each have two GPUs; in one process on a
  /// CPU where there is one rank.
  static std::vector<float> train(int ranks, const JobOptions& job = {}, bool on_gpus = true) {
    RunOptions options = in_virtual_time(60);
    options.job = job;
    const Delays delays = Delays::parse("1,2,3,5,9+exponential:0.5", workers, 0);
    const EventScript speeds;
    Chain objective(workers, dimension);
    const auto method = make_method("dude", {.workers = workers});
    ThreadRanks transport(ranks);
    const RankLayout layout(workers, ranks);
    std::vector<std::jthread> threads;
    for (int rank = 1; rank < ranks; ++rank) {
      threads.emplace_back([&, rank] {
        Chain there(workers, dimension);
        RankWorker worker(transport.rank(rank), there, layout.workers_of(rank), {gpu(0), gpu(1)}, job);
        worker.serve();
      });
    }
    const EndOfRanks end(transport.rank(0));
    Execution execution =
        ranks == 1
            ? make_execution(objective, method->memory(), delays, speeds, std::vector{Device{}}, options)
            : make_execution_on_ranks({.transport = &transport.rank(0), .layout = layout, .on_gpus = on_gpus},
                                      objective, method->memory(), delays, speeds, options);
    Coordinator coordinator(objective, *method, std::move(execution), options, {});
    std::vector<float> model(dimension);
    const RunSummary summary = coordinator.run(model, {});
    EXPECT_EQ(summary.workers.at(workers - 1).device.substr(0, 4), ranks == 1 ? "cpu:" : "cuda");
    return model;
  }
};

// On a GPU products and sums are contracted otherwise than on a CPU: 60 updates of some roundings, 6e-8 each,
// of numbers of size 1.
TEST_F(RanksWithGpus, GiveTheBitsOfAnyNumberOfThemAndNearlyThoseOfACpu) {
  const std::vector<float> of_three = train(3);
  EXPECT_EQ(of_three, train(2));
  EXPECT_EQ(of_three, train(3, {}, false)) << "in memory that ranks have in common";
  const std::vector<float> of_cpu = train(1);
  for (std::size_t i = 0; i < dimension; ++i) ASSERT_NEAR(of_three[i], of_cpu[i], 2e-5) << i;
}

TEST_F(RanksWithGpus, TakeLocalSteps) {
  const JobOptions job{.local_steps = 3, .local_lr = 0.1};
  const std::vector<float> of_three = train(3, job);
  const std::vector<float> of_cpu = train(1, job);
  EXPECT_NE(of_three, train(3));
  for (std::size_t i = 0; i < dimension; ++i) ASSERT_NEAR(of_three[i], of_cpu[i], 6e-5) << i;
}

}  // namespace
}  // namespace tardigrad
