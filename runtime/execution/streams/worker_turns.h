#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "kernels/update_in_turn.h"
#include "runtime/device/buffer.h"
#include "runtime/device/stream.h"

namespace tardigrad {

/// Has the streams of workers make updates of the server's memory by themselves, in turn, all on one device
/// (kernels/update_in_turn.h says how). The host says how many turns may be taken, and learns their order.
class WorkerTurns {
 public:
  /// The stream, which outlives it, is the server's. No turn may be taken at first.
  WorkerTurns(StreamRef server, std::size_t dimension, int workers);

  /// Enqueues an update of a worker's job on its stream, behind the gradient; `again` where it was refused.
  void enqueue(StreamRef stream, int worker, std::uint64_t job, const ServerUpdate& update, bool again);

  /// Lets so many turns be taken, counted from the first of all.
  void allow(std::uint64_t turns);

  /// Lets no turn more be taken. Blocks until it is known how many have been.
  void close();

  /// Returns how many turns next() has returned.
  std::uint64_t seen() const { return seen_; }

  /// Tells whether a turn that was taken before the latest close() has not been returned by next() yet.
  bool any_left() const { return seen_ != taken_; }

  /// Returns whose turn was the next one in their order, if it is over.
  std::optional<int> next();

  /// Returns the job whose update was refused since the last call for that worker, if there is one.
  std::optional<std::uint64_t> take_refused(int worker);

 private:
  StreamRef server_;
  std::uint32_t workers_;
  std::uint32_t capacity_;
  Buffer<std::uint64_t> gate_;
  Buffer<std::uint32_t> over_;
  Buffer<TurnOfStream> own_;
  PinnedBuffer<std::uint64_t> order_;
  PinnedBuffer<std::uint64_t> refused_;
  PinnedBuffer<std::uint32_t> taken_on_device_;
  std::uint64_t seen_ = 0;   // turns that next() has returned
  std::uint64_t taken_ = 0;  // as of the latest close()
};

}  // namespace tardigrad
