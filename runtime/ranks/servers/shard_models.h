#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "runtime/device/buffer.h"
#include "runtime/device/stream.h"
#include "runtime/ranks/messages.h"
#include "runtime/ranks/transport.h"
#include "runtime/server/replica.h"

namespace tardigrad {

/// Keeps a shard's parts of the replicas, by the numbers that rank 0 has given them, and sends them to the
/// ranks of workers. What is still on its way to a rank stays as it is: a replica that is written meanwhile
/// gets other memory, and nothing waits for a rank that has not taken its part yet.
class ShardModels {
 public:
  /// Keeps parts of that size, in memory of the stream's device, which writes them. Both outlive it.
  ShardModels(Transport& transport, StreamRef stream, std::size_t size)
      : transport_(transport), stream_(stream), size_(size) {}

  /// Returns a replica to be written anew.
  Replica& begin(std::uint32_t number) {
    Model& one = model(number);
    if (!one.memory || !one.memory->sends.empty()) {
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

  /// Begins to send a replica, which has been written, to a rank.
  void send(std::uint32_t number, int rank) {
    Memory& memory = *model(number).memory;
    memory.sends.push_back(
        transport_.send(rank, tag_model, memory.values.ref().data(), size_ * sizeof(float)));
  }

  /// Forgets what has been sent. Returns whether there was any.
  bool settle() {
    bool any = false;
    for (const auto& memory : memories_) any = transport_.take_out_done(memory->sends) || any;
    return any;
  }

  /// Tells whether anything is on its way.
  bool sending() const {
    return std::ranges::any_of(memories_, [](const auto& memory) { return !memory->sends.empty(); });
  }

 private:
  struct Memory {
    Memory(StreamRef stream, std::size_t size) : values(stream, size) {}
    Buffer<float> values;
    std::vector<Transport::Transfer> sends;
    bool used = false;  // by a replica
  };
  struct Model {
    Memory* memory = nullptr;
    std::unique_ptr<Replica> replica = nullptr;
  };

  Model& model(std::uint32_t number) {
    while (models_.size() <= number) models_.emplace_back();
    return models_[number];
  }

  Memory& take_memory() {
    auto found = std::ranges::find_if(
        memories_, [](const auto& memory) { return !memory->used && memory->sends.empty(); });
    if (found == memories_.end()) {
      memories_.push_back(std::make_unique<Memory>(stream_, size_));
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
};

}  // namespace tardigrad
