#pragma once

#include <cstddef>
#include <stop_token>
#include <vector>

#include "runtime/telemetry/telemetry.h"

namespace tardigrad::testing {

/// Stops a run 20 arrivals after a worker was lost, however long that takes.
struct StopsBehindALoss final : RunObserver {
  void on_worker_change(const WorkerChange&) override { lost = true; }
  void on_arrival(const JobRecord& job) override {
    constexpr std::size_t enough = 20;
    if (!lost) return;
    arrived.push_back(job.worker);
    if (arrived.size() == enough) stop.request_stop();
  }

  std::stop_source stop;
  bool lost = false;
  std::vector<int> arrived;  ///< their workers
};

}  // namespace tardigrad::testing
