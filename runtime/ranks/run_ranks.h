#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "runtime/device/device.h"
#include "runtime/ranks/rank_layout.h"
#include "runtime/ranks/transport.h"

namespace tardigrad {

/// Says on which ranks a run takes place.
struct RunRanks {
  static constexpr std::size_t default_part_of_models = std::size_t{1} << 17;

  Transport* transport;
  RankLayout layout;
  bool replicated = false;  ///< every rank keeps the model, and an all-reduce adds up sums (AllReduceServer)
  std::size_t shards = 1;   ///< of the model, on the first ranks, one each (ServerOfShards)
  bool on_gpus = false;     ///< gradients are computed there
  Device server = {};       ///< of rank 0
  std::vector<Device> own_devices = {};  ///< of the workers on rank 0, if it has any
  /// Elements of a model that are sent while the server writes the next ones; 0: all.
  std::size_t part_of_models = default_part_of_models;
  bool by_messages = false;  ///< also ranks of rank 0's machine have no memory in common with it

  /// Tells whether a GPU of every rank keeps the model, and NCCL adds up.
  bool by_nccl() const { return replicated && server.backend == Backend::cuda; }

  /// Tells whether models are sent, to a rank that has them neither by itself nor in common with rank 0.
  bool sends_models() const {
    return !replicated && std::ranges::any_of(layout.of_workers(),
                                              [this](int rank) { return rank > 0 && !shares_vectors(rank); });
  }

  /// Returns where a rank has the models and gradients of jobs, but for those that ranks have in common: on
  /// `gpu`, its server's or its first, where that keeps the model, or where the transport takes them from
  /// there; else in memory of the host.
  Device vectors_on(Device gpu) const {
    return by_nccl() || (!replicated && transport->takes_gpu_memory()) ? gpu : Device{};
  }

  /// Returns the device that copies models and gradients which lie in rank 0's memory of the host: the GPU of
  /// its server, or one of its workers'.
  Device copied_by() const {
    const bool workers_copy = server.backend == Backend::cpu && !own_devices.empty();
    return workers_copy ? own_devices.front() : server;
  }

  /// Tells whether a rank reads models and writes gradients in memory of rank 0 (SharedVectors), if the
  /// system lets it. None does where gradients stay where they are computed, or go to several ranks, nor with
  /// GPUs, whose copies are asynchronous only in memory that is pinned.
  bool shares_vectors(int rank) const {
    const bool is_far = by_messages || rank == 0 || transport->first_on_machine_of(rank) != 0;
    return !replicated && shards == 1 && !on_gpus && !is_far;
  }
};

}  // namespace tardigrad
