#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "runtime/device/buffer.h"
#include "runtime/device/stream.h"
#include "runtime/ranks/messages.h"
#include "runtime/ranks/rank_vector.h"
#include "runtime/ranks/transport.h"
#include "runtime/server/replica.h"

namespace tardigrad {

/// Keeps a shard's parts of the replicas, by the numbers that rank 0 has given them, and sends them to the
/// ranks of workers. What is still on its way to a rank stays as it is: a replica that is written meanwhile
/// gets other memory, and nothing waits for a rank that has not taken its part yet.
class ShardModels {
 public:
  /// Keeps parts of that size, which work of the stream writes. Both outlive it.
  ShardModels(Transport& transport, StreamRef stream, std::size_t size)
      : transport_(transport), stream_(stream), size_(size) {}

  /// Returns a replica to be written anew.
  Replica& begin(std::uint32_t number) {
    Model& one = model(number);
    if (!one.memory || one.memory->is_on_its_way()) {
      if (one.memory) one.memory->used = false;
      one.memory = &take_memory();
    }
    const BufferRef<float> values = one.memory->values.ref();
    if (!one.replica) one.replica = std::make_unique<Replica>(values, stream_.device());
    one.replica->model = values;
    return *one.replica;
  }

  /// Returns a replica that has been written.
  const Replica& at(std::uint32_t number) { return *model(number).replica; }

  /// Sends a replica to a rank, behind all before it, when it has been written.
  void send(std::uint32_t number, int rank) {
    Model& one = model(number);
    ++one.memory->waiting;
    waiting_.push_back({one.memory, &one.replica->written, rank});
    send_written();
  }

  /// Sends what has been written by now, and forgets what has been sent. Returns whether there was any.
  bool settle() {
    bool any = send_written();
    for (const auto& memory : memories_) any = transport_.take_out_done(memory->sends) || any;
    return any;
  }

  /// Tells whether anything is on its way.
  bool sending() const {
    return std::ranges::any_of(memories_, [](const auto& memory) { return memory->is_on_its_way(); });
  }

 private:
  struct Memory {
    explicit Memory(RankVector memory) : values(std::move(memory)) {}
    bool is_on_its_way() const { return waiting > 0 || !sends.empty(); }
    RankVector values;
    int waiting = 0;  // sends that have not begun
    std::vector<Transport::Transfer> sends = {};
    bool used = false;  // by a replica
  };
  /// Is a send that waits for the stream. An event that is recorded anew meanwhile comes later, and does no
  /// harm.
  struct Waiting {
    Memory* memory;
    const Event* written;
    int rank;
  };
  struct Model {
    Memory* memory = nullptr;
    std::unique_ptr<Replica> replica = nullptr;
  };

  Model& model(std::uint32_t number) {
    while (models_.size() <= number) models_.emplace_back();
    return models_[number];
  }

  /// Sends models in the order in which that was asked for, since ranks receive them in it.
  bool send_written() {
    bool any = false;
    while (!waiting_.empty() && waiting_.front().written->complete()) {
      const auto [memory, written, rank] = waiting_.front();
      waiting_.pop_front();
      --memory->waiting;
      memory->sends.push_back(
          transport_.send(rank, tag_model, memory->values.ref().data(), size_ * sizeof(float)));
      any = true;
    }
    return any;
  }

  Memory& take_memory() {
    auto found = std::ranges::find_if(
        memories_, [](const auto& memory) { return !memory->used && !memory->is_on_its_way(); });
    if (found == memories_.end()) {
      memories_.push_back(std::make_unique<Memory>(RankVector::for_messages(transport_, stream_, size_)));
      found = memories_.end() - 1;
    }
    (*found)->used = true;
    return **found;
  }

  Transport& transport_;
  StreamRef stream_;
  std::size_t size_;
  std::vector<std::unique_ptr<Memory>> memories_;
  std::vector<Model> models_;
  std::deque<Waiting> waiting_;
};

}  // namespace tardigrad
