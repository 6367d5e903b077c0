#pragma once

#include <string>
#include <thread>
#include <vector>

#include "runtime/ranks/execution_on_ranks.h"
#include "runtime/ranks/workers/rank_worker.h"
#include "tests/support/experiment.h"
#include "tests/support/thread_ranks.h"

namespace tardigrad::testing {

/// The same run as MethodExperiment, with its workers on ranks that are threads.
struct RankedExperiment : MethodExperiment {
  RankedExperiment(int run_ranks, int workers, const std::string& name, const std::string& compute_time,
                   const RunOptions& run_options, int devices = 1)
      : MethodExperiment(workers, name, compute_time, run_options, devices), ranks(run_ranks) {}

  RunSummary go(const std::stop_token& stop = {}) {
    ThreadRanks job(ranks);
    const bool rank_0_computes = workers_per_rank.size() == static_cast<std::size_t>(ranks);
    const RankLayout layout(objective.workers(), ranks, workers_per_rank, rank_0_computes ? 0 : 1);
    std::vector<std::jthread> threads;
    for (int rank = 1; rank < ranks; ++rank) {
      threads.emplace_back([&, rank] {
        Pull there(objective.workers());
        there.noise = objective.noise;
        there.in_gradient = objective.in_gradient;
        RankWorker worker(job.rank(rank), there, layout.workers_of(rank), cpus, options.job,
                          replicated ? std::optional(KeptModel{options.server}) : std::nullopt);
        worker.serve();
      });
    }
    const EndOfRanks end(job.rank(0));
    make = [&](ServerMemory memory) {
      const RunRanks on{.transport = &job.rank(0),
                        .layout = layout,
                        .replicated = replicated,
                        .own_devices = rank_0_computes ? cpus : std::vector<Device>{}};
      return make_execution_on_ranks(on, objective, memory, delays, speeds, options, replay);
    };
    return MethodExperiment::go(stop);
  }

  int ranks;
  std::vector<int> workers_per_rank;  ///< of all but rank 0, or of all; none: those take turns
  bool replicated = false;
};

}  // namespace tardigrad::testing
