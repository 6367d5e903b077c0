#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "runtime/device/devices.h"

namespace tardigrad {

/// Returns how many lanes RankWorker has for so many workers: one for each of them on GPUs, one for each CPU
/// device that has any. Worker i of them is on lane i mod that, and lane i on device i mod their number.
inline std::size_t lanes_of_rank(std::size_t workers, const std::vector<Device>& devices) {
  return devices.front().backend == Backend::cpu ? std::min(workers, devices.size()) : workers;
}

/// How StreamExecutor spreads the jobs of n workers, each of which is on Devices::of_worker(i), over streams:
/// worker i on stream i mod `streams`, or, where jobs are computed in groups of several, on those of its
/// device, which take turns.
class StreamLayout {
 public:
  /// In wall time each worker has a stream, and one job at a time on it. In virtual time groups have up to
  /// `at_once` jobs (Objective::gradients_at_once); with larger ones, few workers would have too little to
  /// compute meanwhile.
  StreamLayout(std::size_t workers, Devices devices, bool wall, std::size_t at_once)
      : streams(workers),
        group(wall ? 1 : std::clamp<std::size_t>(workers / 2, 1, at_once)),
        groups_ahead(wall ? 1 : virtual_groups_ahead),
        workers_(workers),
        devices_(std::move(devices)),
        in_use_(devices_.in_use(workers)) {
    if (wall) return;
    // Whole turns, so that worker i and stream i mod `streams` are on one device.
    const std::size_t turns = devices_.places();
    const std::size_t of_jobs = std::max(turns, streams_of_jobs * devices_.workers.size() / turns * turns);
    streams = std::min(workers, group > 1 ? streams_of_groups * in_use_.size() : of_jobs);
  }

  std::size_t streams;       ///< in all
  std::size_t group;         ///< jobs computed at once on each, at most
  std::size_t groups_ahead;  ///< of these on each, before the oldest of them is looked at

  /// Returns how many gradients there may be on each stream.
  std::size_t gradients() const { return group * groups_ahead; }

  Device device_of(std::size_t stream) const {
    return group > 1 ? in_use_[stream % in_use_.size()] : devices_.of_worker(stream);
  }

  /// Returns whose jobs a stream may get; of all where it is nobody's.
  std::vector<int> workers_of(std::size_t stream) const {
    std::vector<int> there;
    if (group > 1) return there;
    for (std::size_t i = stream; i < workers_; i += streams) there.push_back(static_cast<int>(i));
    return there;
  }

 private:
  static constexpr std::size_t streams_of_jobs = 8;
  static constexpr std::size_t streams_of_groups = 2;
  static constexpr std::size_t virtual_groups_ahead = 2;
  std::size_t workers_;
  Devices devices_;
  std::vector<Device> in_use_;
};

}  // namespace tardigrad
