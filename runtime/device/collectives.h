#pragma once

#include <array>
#include <memory>
#include <span>

#include "runtime/device/buffer.h"
#include "runtime/device/stream.h"

namespace tardigrad {

/// Does collective operations on one vector of every device, each ordered on that device's stream. All
/// vectors have the same size. Devices of other processes may take part, with vectors of theirs.
class Collectives {
 public:
  Collectives() = default;
  Collectives(const Collectives&) = delete;
  Collectives& operator=(const Collectives&) = delete;
  virtual ~Collectives() = default;

  /// Enqueues an all-reduce: every vector ← the sum of all of them, the same bits everywhere. `vectors` are
  /// in the order of the streams. Throws DeviceError.
  virtual void all_reduce(std::span<const BufferRef<float>> vectors) = 0;

  /// Enqueues a broadcast: every vector ← the first. Throws DeviceError.
  virtual void broadcast(std::span<const BufferRef<float>> vectors) = 0;

  /// Throws DeviceError for a failure of what is under way.
  virtual void check() const {}

  /// Gives up what is under way, in which others may never come: work behind it goes on, with any numbers.
  /// Nothing may be enqueued any more.
  virtual void abort() {}
};

/// Makes collectives by NCCL, for streams of different GPUs, which outlive them. Throws DeviceError, and
/// std::logic_error for streams of a CPU.
std::unique_ptr<Collectives> make_collectives(std::span<const StreamRef> streams);

/// Names collectives of several processes. One of them makes it, and tells the others.
using CollectivesId = std::array<char, 128>;

/// Makes an id for collectives by NCCL on GPUs such as this one. Throws DeviceError, and std::logic_error for
/// a CPU.
CollectivesId make_collectives_id(Device device);

/// Makes collectives by NCCL over `ranks` processes, this one being the `rank`th, counted from 0, with a
/// vector each: here on the GPU of `stream`, which outlives them. Each process has a GPU of its own. Blocks
/// until all of them are there. The processes destroy theirs at the same time. Throws DeviceError.
std::unique_ptr<Collectives> join_collectives(StreamRef stream, const CollectivesId& id, int rank, int ranks);

}  // namespace tardigrad
