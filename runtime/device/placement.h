#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "runtime/device/device.h"

namespace tardigrad {

/// Where a run takes place, all on one backend: worker i on workers[i mod k], the server on a device that may
/// carry workers, too.
struct Placement {
  /// One CPU device for all.
  Placement() : Placement(std::vector<Device>{Device{}}) {}
  /// The server beside the first workers. At least one device.
  Placement(std::vector<Device> devices)  // NOLINT(google-explicit-constructor): devices are a placement
      : workers(std::move(devices)), server(workers.front()) {}
  Placement(std::vector<Device> devices, Device of_server) : workers(std::move(devices)), server(of_server) {}

  /// Those that carry one of n workers.
  std::vector<Device> in_use(std::size_t n) const {
    return {workers.begin(), workers.begin() + static_cast<std::ptrdiff_t>(std::min(n, workers.size()))};
  }

  std::vector<Device> workers;
  Device server;
  bool replicated = false;  ///< there is no server: every worker's GPU keeps the model (ReplicatedServer)
};

}  // namespace tardigrad
