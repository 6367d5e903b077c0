#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/device/devices.h"
#include "runtime/execution/job_options.h"
#include "runtime/methods/method.h"
#include "runtime/objective/objective.h"
#include "runtime/server/server.h"

namespace tardigrad {

/// What the memory of a run depends on.
struct PlannedRun {
  std::size_t dimension = 0;
  int workers = 0;
  ServerMemory memory;
  ServerOptions server;
  JobOptions job;
  Devices devices;
  bool wall = true;         ///< each worker has a stream of its own
  std::size_t at_once = 1;  ///< gradients that are computed at once (Objective::gradients_at_once)
  bool in_turn = false;     ///< workers make the updates by themselves (InTurnExecutor)
  bool lookahead = false;   ///< CPU threads compute ahead of the server (LookaheadExecutor)
  /// Of a run on several ranks: which of them this is, of which the first have the server, and which workers
  /// it has (RankExecutor, RankWorker).
  std::optional<int> rank = {};
  std::vector<int> workers_on_rank = {};
  bool replicated_on_ranks = false;  ///< all of them keep the model (AllReduceServer)
  Device server_of_rank = {};        ///< of one that keeps the model
  Device vectors_of_rank = {};       ///< in whose memory it has models and gradients of jobs
  /// This one reads models and writes gradients in the memory of rank 0 (SharedVectors).
  bool shares_with_rank_0 = false;
  std::size_t workers_sharing = 0;  ///< all workers whose rank does
  bool fixed_workers = false;       ///< the problem is of that many workers
  /// What an engine for these workers takes, or for all where there are none (Objective::engine_memory).
  std::function<EngineMemory(Device, std::span<const int> workers)> engine =
      [](Device, std::span<const int>) { return EngineMemory{}; };
};

struct MemoryItem {
  Device device;  ///< CPU devices share one memory: all of theirs is cpu:0's
  std::string what;
  std::size_t bytes = 0;
};

/// What takes how much of which device's memory, at the most. Left out are single numbers (losses, sums) and
/// what the libraries keep for themselves.
struct MemoryPlan {
  std::vector<MemoryItem> items;  ///< none of 0 bytes; the largest of a device first

  std::vector<Device> devices() const;
  std::size_t total(Device device) const;
};

/// Asks nothing of any device.
MemoryPlan plan_memory(const PlannedRun& run);

/// Bytes free on a device.
using FreeMemory = std::function<std::size_t(Device)>;

/// Throws std::invalid_argument where a device has less memory free than the run needs, and a margin: with a
/// line for every item, the largest first, and one that names what would fit.
void require_memory(const PlannedRun& run, const FreeMemory& free = free_memory);

/// The plan as a table, with what is free.
std::string show_memory(const MemoryPlan& plan, const FreeMemory& free = free_memory);

/// Shows the plans of all ranks of a run, from rank 0 on, those of consecutive ones that are alike once.
std::string show_memory_of_ranks(std::span<const MemoryPlan> plans);

/// "1.5 GiB", "20.0 MiB", "16 B".
std::string format_bytes(std::size_t bytes);

}  // namespace tardigrad
