#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "runtime/device/stream.h"
#include "runtime/ranks/landings.h"
#include "runtime/ranks/messages.h"
#include "runtime/ranks/rank_vector.h"
#include "runtime/ranks/transport.h"

namespace tardigrad {

/// Receives a shard's parts of gradients from the ranks of workers, and keeps each until an order takes it.
class ShardGradients {
 public:
  /// Receives parts of that size, which work of the stream reads. Both outlive it.
  ShardGradients(Transport& transport, StreamRef stream, std::size_t size)
      : transport_(transport), size_(size), landings_(stream.device(), [&transport, stream, size] {
          return RankVector::for_messages(transport, stream, size);
        }) {}

  /// Begins to receive the part of a job's gradient, which follows its announcement.
  void receive(int rank, int worker, std::uint64_t job) {
    Landing& landing = landings_.take();
    const Transport::Transfer transfer =
        transport_.receive(rank, tag_payload, landing.values, size_ * sizeof(float));
    parts_.push_back({worker, job, &landing, transfer});
  }

  /// Calls on_part(worker, job) for each that has come by now. Returns whether there were any.
  template <typename OnPart>
  bool look(const OnPart& on_part) {
    bool any = false;
    for (Part& one : parts_) {
      if (!one.transfer || !transport_.done(*one.transfer)) continue;
      one.transfer.reset();
      any = true;
      on_part(one.worker, one.job);
    }
    return any;
  }

  /// Tells whether a part has been announced, and is_here() whether it has come, too.
  bool is_announced(int worker, std::uint64_t job) { return find(worker, job) != parts_.end(); }
  bool is_here(int worker, std::uint64_t job) {
    const auto found = find(worker, job);
    return found != parts_.end() && !found->transfer;
  }

  /// Returns one that is here, until it is given back.
  Landing& take(int worker, std::uint64_t job) {
    const auto found = find(worker, job);
    Landing& landing = *found->landing;
    parts_.erase(found);
    return landing;
  }

  /// Takes back the memory of one, which the server may still read.
  void give_back(Landing& landing) { landings_.give_back(landing); }

 private:
  struct Part {
    int worker;
    std::uint64_t job;
    Landing* landing;
    std::optional<Transport::Transfer> transfer;  // until it is here
  };

  std::vector<Part>::iterator find(int worker, std::uint64_t job) {
    return std::ranges::find_if(parts_,
                                [&](const Part& one) { return one.worker == worker && one.job == job; });
  }

  Transport& transport_;
  std::size_t size_;
  Landings landings_;
  std::vector<Part> parts_;
};

}  // namespace tardigrad
