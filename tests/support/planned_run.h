#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>

#include "runtime/execution/memory_plan.h"

namespace tardigrad::testing {

constexpr Device gpu(int index) { return {Backend::cuda, index}; }

/// Returns dude with 10 workers on two GPUs. d is a million (its stride, too), and so large that replicas are
/// allocated one by one from the 16th on.
inline PlannedRun two_gpus() {
  PlannedRun run;
  run.dimension = 1'000'000;
  run.workers = 10;
  run.memory = {.tables = 1, .mean = true};
  run.devices = Devices({gpu(1), gpu(2)}, gpu(1));
  run.engine = [](Device, std::span<const int>) {
    return EngineMemory{.shared_bytes = 5000, .engine_bytes = 700};
  };
  return run;
}

/// Holds the bytes of a device by what takes them.
using Items = std::map<std::string, std::size_t>;

inline Items items_of(const MemoryPlan& plan, Device device) {
  Items items;
  for (const MemoryItem& item : plan.items) {
    if (item.device == device) items[item.what] = item.bytes;
  }
  return items;
}

}  // namespace tardigrad::testing
