#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "runtime/device/device.h"

namespace tardigrad {

/// Returns how many lanes RankWorker has for so many workers: one for each of them on GPUs, one for each CPU
/// device that has any. Worker i of them is on lane i mod that, and lane i on device i mod their number.
inline std::size_t lanes_of_rank(std::size_t workers, const std::vector<Device>& devices) {
  return devices.front().backend == Backend::cpu ? std::min(workers, devices.size()) : workers;
}

/// How StreamExecutor spreads the jobs of n workers over streams: worker i on stream i mod `streams`, that on
/// Devices::of_worker(i mod `streams`).
struct StreamLayout {
  std::size_t streams;     ///< in all
  std::size_t jobs_ahead;  ///< on each, before the oldest of them is looked at

  /// In wall time each worker has a stream, and one job at a time on it.
  StreamLayout(std::size_t workers, std::size_t devices, bool wall)
      : streams(wall ? workers : std::min(workers, streams_per_device * devices)),
        jobs_ahead(wall ? 1 : virtual_jobs_ahead),
        workers_(workers) {}

  std::vector<int> workers_of(std::size_t stream) const {
    std::vector<int> there;
    for (std::size_t i = stream; i < workers_; i += streams) there.push_back(static_cast<int>(i));
    return there;
  }

 private:
  static constexpr std::size_t streams_per_device = 8;
  static constexpr std::size_t virtual_jobs_ahead = 2;
  std::size_t workers_;
};

}  // namespace tardigrad
