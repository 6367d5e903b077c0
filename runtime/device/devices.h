#pragma once

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <optional>
#include <utility>
#include <vector>

#include "runtime/device/device.h"

namespace tardigrad {

/// Lists the devices of a run, all of one backend: those of the workers, who take turns at them, and the
/// server's, which may carry workers, too.
struct Devices {
  /// Takes one CPU device for all.
  Devices() : Devices(std::vector<Device>{Device{}}) {}
  /// Puts the server beside the first workers. At least one device is given.
  Devices(std::vector<Device> of_workers)  // NOLINT(google-explicit-constructor): it is such a list
      : workers(std::move(of_workers)), server(workers.front()), turns_(workers) {}
  Devices(std::vector<Device> of_workers, Device of_server)
      : workers(std::move(of_workers)), server(of_server), turns_(workers) {}

  /// Gives each device of workers so many of them, one or more: they take turns for as long as a device has
  /// room. There are as many counts as devices.
  void spread(const std::vector<int>& workers_per_device) {
    turns_.clear();
    const int most = std::ranges::max(workers_per_device);
    for (int round = 0; round < most; ++round) {
      for (std::size_t i = 0; i < workers.size(); ++i) {
        if (round < workers_per_device[i]) turns_.push_back(workers[i]);
      }
    }
  }

  /// Returns how many workers there are when each device has as many as it is given: one, if they are not
  /// spread otherwise.
  std::size_t places() const { return turns_.size(); }

  /// Returns the device of worker, or stream, i: workers[i mod k] where they are not spread otherwise.
  Device of_worker(std::size_t i) const { return turns_[i % turns_.size()]; }

  /// Returns how many of the first n workers, or streams, a device has.
  std::size_t workers_on(Device device, std::size_t n) const {
    const auto among = [&](std::size_t first) {
      return std::count(turns_.begin(), turns_.begin() + static_cast<std::ptrdiff_t>(first), device);
    };
    return n / turns_.size() * static_cast<std::size_t>(among(turns_.size())) +
           static_cast<std::size_t>(among(n % turns_.size()));
  }

  /// Returns the devices that carry one of n workers.
  std::vector<Device> in_use(std::size_t n) const {
    return {workers.begin(), workers.begin() + static_cast<std::ptrdiff_t>(std::min(n, workers.size()))};
  }

  /// Returns the first device of workers that does not have the server's memory, as a GPU has its own and all
  /// CPU devices share one; nothing if all have it.
  std::optional<Device> apart_from_server() const {
    const auto found = std::ranges::find_if(workers, [this](Device device) {
      const bool both_on_cpu = device.backend == Backend::cpu && server.backend == Backend::cpu;
      return device != server && !both_on_cpu;
    });
    return found == workers.end() ? std::nullopt : std::optional(*found);
  }

  /// Returns the device of shard i: the server's first, and then the others of workers, in turn.
  Device of_shard(std::size_t i) const {
    std::vector<Device> all{server};
    std::ranges::remove_copy(workers, std::back_inserter(all), server);
    return all[i % all.size()];
  }

  /// Returns the devices that have a shard, each once.
  std::vector<Device> of_server() const {
    std::vector<Device> all;
    for (std::size_t i = 0; i < server_shards; ++i) {
      if (std::ranges::find(all, of_shard(i)) == all.end()) all.push_back(of_shard(i));
    }
    return all;
  }

  std::vector<Device> workers;  ///< devices of workers, each once
  Device server;
  std::size_t server_shards = 1;  ///< parts of the model, each on a stream of its own (ShardedServer)
  bool replicated = false;  ///< there is no server: every worker's GPU keeps the model (ReplicatedServer)

 private:
  std::vector<Device> turns_;
};

}  // namespace tardigrad
