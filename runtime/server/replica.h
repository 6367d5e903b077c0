#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "runtime/checkpoint/snapshot.h"
#include "runtime/device/buffer.h"
#include "runtime/device/event.h"
#include "runtime/device/stream.h"
#include "runtime/device/stream_of_caller.h"

namespace tardigrad {

/// Holds the model of one version [d], in the memory of a worker's device, as handed over. Jobs that start
/// from the same version read the same replica.
struct Replica {
  /// With `part_size` the server writes parts of so many elements one behind the other.
  Replica(BufferRef<float> memory, Device server, std::size_t part_size = 0)
      : model(memory), written(server), part(part_size) {
    for (std::size_t end = part; part > 0 && end < model.size(); end += part) {
      parts_written.emplace_back(server);
    }
  }

  BufferRef<float> model;
  Event written;     ///< recorded by the server
  std::size_t part;  ///< size of a part, the last of which may be shorter; 0: there are none
  std::vector<Event> parts_written = {};  ///< likewise, of each part but the last
  std::uint64_t version = 0;
  std::uint64_t order = 0;                      ///< for its owner: when it is written
  int users = 0;                                ///< jobs, and one for being the newest
  std::optional<Snapshot::Place> unsaved = {};  ///< where a snapshot that is being taken is to have it
};

/// Names the tensor that snapshots have of replicas.
inline constexpr const char* replicas_in_snapshots = "models";

/// Owns the replicas of one device: at most one more than there are jobs. One that is no longer used is the
/// next to be written, while the caches still hold it.
class ReplicaPool {
 public:
  /// The replicas of a CPU lie in memory that is pinned for the server's GPU, if it has one. `given` is
  /// memory [dimension] each that is not the pool's: replicas lie there first.
  /// They are written in parts of `part` elements, if that is given (Replica).
  ReplicaPool(Device device, Device server, std::size_t dimension,
              const std::vector<BufferRef<float>>& given = {}, std::size_t part = 0)
      : memory_(stream_of_caller(device, "replicas")), server_(server), dimension_(dimension), part_(part) {
    for (const BufferRef<float> memory : given) add(memory);
  }

  Device device() const { return memory_.device(); }

  /// Returns the device whose streams write the replicas.
  Device server() const { return server_; }

  /// Returns the replica of a version, which only grows, for one more job. `fresh` tells whether it is new,
  /// and so is still to be written, `order` to be set. Throws DeviceError if memory cannot be had.
  Replica& take(std::uint64_t version, bool& fresh) {
    fresh = !newest_ || newest_->version != version;
    if (fresh) {
      if (newest_) release(*newest_);
      newest_ = &unused();
      newest_->version = version;
      newest_->users = 1;
    }
    ++newest_->users;
    return *newest_;
  }

  /// Returns a replica that is nobody else's for as long as the pool lives.
  Replica& take_own() {
    Replica& own = unused();
    own.users = 1;
    return own;
  }

  /// Counts one more job on a replica that has some, and returns it.
  static Replica& share(Replica& replica) {
    ++replica.users;
    return replica;
  }

  /// Makes replicas of these versions, each as a snapshot has it, and without jobs: whoever shares them first
  /// must do it before the next take(). It is called before the first take(); `stream` is the server's.
  /// Throws std::invalid_argument if a vector is not there.
  std::map<std::uint64_t, Replica*> restore(VectorSource& vectors, StreamRef stream,
                                            const std::set<std::uint64_t>& versions,
                                            std::span<const std::uint64_t> rows) {
    std::map<std::uint64_t, Replica*> replicas;
    std::vector<float> values(dimension_);
    for (const std::uint64_t version : versions) {
      const auto row = std::ranges::find(rows, version) - rows.begin();
      vectors.read(replicas_in_snapshots, static_cast<std::size_t>(row), values);
      Replica& replica = unused();
      replica.version = version;
      stream.copy(replica.model, host_view(values.data(), values.size()));
      stream.record(replica.written);
      stream.synchronize();
      replicas[version] = &replica;
    }
    return replicas;
  }

  /// Returns what a pool takes, in bytes, that has held so many replicas at once.
  static std::size_t bytes(std::size_t dimension, std::size_t replicas) {
    std::size_t present = 0;
    while (present < replicas) present += growth(dimension, present);
    return present * vector_stride(dimension) * sizeof(float);
  }

  /// Takes note that a job on a replica is over, or, if work still reads it, that whoever writes next is
  /// ordered behind that.
  void release(Replica& replica) {
    if (--replica.users == 0) unused_.push_back(&replica);
  }

 private:
  Replica& unused() {
    if (unused_.empty()) grow();
    Replica& replica = *unused_.back();
    unused_.pop_back();
    return replica;
  }

  /// Returns how many replicas are added to those that are there: as many, up to a size.
  static std::size_t growth(std::size_t dimension, std::size_t present) {
    constexpr std::size_t largest_bytes = std::size_t{64} << 20;
    const std::size_t replica_bytes = vector_stride(dimension) * sizeof(float);
    return std::clamp<std::size_t>(largest_bytes / replica_bytes, 1, std::max<std::size_t>(1, present));
  }

  void grow() {
    const std::size_t stride = vector_stride(dimension_);
    const std::size_t count = growth(dimension_, all_.size());
    const BufferRef<float> slab = grow_by(count * stride);
    for (std::size_t i = 0; i < count; ++i) add(slab.subview(i * stride, dimension_));
  }

  BufferRef<float> grow_by(std::size_t elements) {
    if (device().backend == Backend::cpu && server_.backend == Backend::cuda) {
      return host_view(pinned_.emplace_back(server_, elements).data(), elements);
    }
    Buffer<float>& slab = slabs_.emplace_back(memory_, elements);
    memory_.ref().synchronize();  // there for every stream; nothing else runs on this one
    return slab.ref();
  }

  void add(BufferRef<float> memory) {
    all_.push_back(std::make_unique<Replica>(memory, server_, part_));
    unused_.push_back(all_.back().get());
  }

  Stream memory_;
  Device server_;
  std::size_t dimension_;
  std::size_t part_;
  std::vector<Buffer<float>> slabs_;
  std::vector<PinnedBuffer<float>> pinned_;
  std::vector<std::unique_ptr<Replica>> all_;
  std::vector<Replica*> unused_;
  Replica* newest_ = nullptr;
};

}  // namespace tardigrad
