#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "runtime/device/device.h"

namespace tardigrad {

/// Lists the devices of a run, all of one backend: worker i computes on workers[i mod k], the server on a
/// device that may carry workers, too.
struct Devices {
  /// Takes one CPU device for all.
  Devices() : Devices(std::vector<Device>{Device{}}) {}
  /// Puts the server beside the first workers. At least one device is given.
  Devices(std::vector<Device> of_workers)  // NOLINT(google-explicit-constructor): it is such a list
      : workers(std::move(of_workers)), server(workers.front()) {}
  Devices(std::vector<Device> of_workers, Device of_server)
      : workers(std::move(of_workers)), server(of_server) {}

  /// Returns the devices that carry one of n workers.
  std::vector<Device> in_use(std::size_t n) const {
    return {workers.begin(), workers.begin() + static_cast<std::ptrdiff_t>(std::min(n, workers.size()))};
  }

  std::vector<Device> workers;
  Device server;
  bool replicated = false;  ///< there is no server: every worker's GPU keeps the model (ReplicatedServer)
};

}  // namespace tardigrad
