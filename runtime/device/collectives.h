#pragma once

#include <memory>
#include <span>

#include "runtime/device/buffer.h"
#include "runtime/device/stream.h"

namespace tardigrad {

/// Does collective operations on one vector of every device, each ordered on that device's stream. All
/// vectors have the same size.
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
};

/// Makes collectives by NCCL, for streams of different GPUs, which outlive them. Throws DeviceError, and
/// std::logic_error for streams of a CPU.
std::unique_ptr<Collectives> make_collectives(std::span<const StreamRef> streams);

}  // namespace tardigrad
