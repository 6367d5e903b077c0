#pragma once

#include <memory>
#include <span>

#include "runtime/device/buffer.h"
#include "runtime/device/stream.h"

namespace tardigrad {

/// Operations on one vector of every device at once, each ordered on that device's stream. All vectors have
/// the same size.
class Collectives {
 public:
  Collectives() = default;
  Collectives(const Collectives&) = delete;
  Collectives& operator=(const Collectives&) = delete;
  virtual ~Collectives() = default;

  /// Enqueues: every vector ← the sum of all of them, the same bits everywhere. `vectors` lie as the streams
  /// do. Throws DeviceError.
  virtual void all_reduce(std::span<const BufferRef<float>> vectors) = 0;

  /// Enqueues: every vector ← the first. Throws DeviceError.
  virtual void broadcast(std::span<const BufferRef<float>> vectors) = 0;

  /// Throws DeviceError for a failure of what is under way.
  virtual void check() const {}
};

/// By NCCL, for streams of different GPUs, which outlive it. Throws DeviceError, std::logic_error for streams
/// of a CPU.
std::unique_ptr<Collectives> make_collectives(std::span<const StreamRef> streams);

}  // namespace tardigrad
