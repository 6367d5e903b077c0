#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <utility>
#include <vector>

#include "kernels/server_update.h"
#include "runtime/device/event.h"
#include "runtime/device/stream.h"

namespace tardigrad {

/// Calls body(0), …, body(count − 1), which must not throw, on whatever threads there are. It returns when
/// all are done.
using ParallelFor = std::function<void(std::size_t count, const std::function<void(std::size_t)>& body)>;

/// Calls body(begin, end) for elements [0, size) in parts of `part_size`, on whatever threads there are.
template <typename Body>
void in_parts(const ParallelFor& parallel_for, std::size_t size, std::size_t part_size, const Body& body) {
  parallel_for((size + part_size - 1) / part_size,
               [&](std::size_t i) { body(i * part_size, std::min((i + 1) * part_size, size)); });
}

/// Gathers the updates of a stream, of consecutive arrivals, that are to be done in one pass over memory.
class UpdatePass {
 public:
  /// Gathers nothing: each update is enqueued at once. Several threads may use it.
  explicit UpdatePass(StreamRef stream) : stream_(stream), gathers_(false) {}

  /// With `parallel_for`, which needs an immediate stream, long work is shared out; that changes no bit.
  UpdatePass(StreamRef stream, ParallelFor parallel_for)
      : stream_(stream), gathers_(true), parallel_for_(std::move(parallel_for)) {}

  /// Adds an update behind those that are gathered.
  void add(const ServerUpdate& update);

  /// Records an event where all that has been added is done.
  void record(Event& event);

  /// Enqueues what is gathered.
  void enqueue();

  /// Returns the update that is gathered, the only one. Throws std::logic_error where it is not.
  const ServerUpdate& only() const;

  /// Forgets what is gathered.
  void drop();

  /// Returns the stream, for work behind all that has been added.
  StreamRef stream() {
    enqueue();
    return stream_;
  }

 private:
  void run_in_parts(std::size_t part_size) const;

  StreamRef stream_;
  bool gathers_;
  ParallelFor parallel_for_;
  ServerUpdates pass_;
  std::vector<Event*> events_;  // to be recorded behind them
};

}  // namespace tardigrad
