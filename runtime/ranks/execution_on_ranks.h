#pragma once

#include <cstddef>
#include <functional>
#include <utility>

#include "runtime/execution/execution.h"
#include "runtime/ranks/run_ranks.h"

namespace tardigrad {

/// Makes the execution of a run whose server is here, on rank 0, and whose workers are on other ranks, each
/// with a RankWorker, or here, too: as make_execution(). The transport outlives it, too.
Execution make_execution_on_ranks(const RunRanks& ranks, Objective& objective, ServerMemory memory,
                                  const Delays& delays, const EventScript& speeds,
                                  const ExecutionOptions& options, Recording* replay = nullptr);

/// Lets the other ranks leave, however the run ends. It waits for some seconds at most: a rank that is cut
/// off, whose workers are lost by then, is not told.
class EndOfRanks {
 public:
  /// The transport outlives it. The first ranks keep so many shards of the model. `some_lost` is asked in the
  /// end whether ranks are lost, so that those that are there leave the job without them.
  explicit EndOfRanks(
      Transport& transport, std::size_t shards = 1, std::function<bool()> some_lost = [] { return false; })
      : transport_(transport), shards_(static_cast<int>(shards)), some_lost_(std::move(some_lost)) {}
  EndOfRanks(const EndOfRanks&) = delete;
  EndOfRanks& operator=(const EndOfRanks&) = delete;
  ~EndOfRanks();

 private:
  Transport& transport_;
  int shards_;
  std::function<bool()> some_lost_;
};

}  // namespace tardigrad
