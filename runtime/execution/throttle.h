#pragma once

#include <cstdint>
#include <stop_token>

#include "runtime/events/delays.h"
#include "runtime/events/event_script.h"
#include "runtime/events/stopwatch.h"

namespace tardigrad {

/// Stretches jobs in wall time to the time the delay model and the events give them.
struct Throttle {
  const Delays& delays;
  const EventScript& speeds;
  Stopwatch& stopwatch;
  double time_unit_s = 1;        ///< seconds of one unit of the delays
  PauseState* pauses = nullptr;  ///< the stopwatch's, in memory that the GPUs share with the host

  /// On the run's clock, in seconds.
  double now() const { return stopwatch.elapsed_s(); }

  /// Blocks until a job that began at `began_s` may end; at once if it took longer by itself, or when stop is
  /// requested. Jobs of `measured` delays take what they took, as far as events don't change that.
  void stretch(int worker, std::uint64_t job, double began_s, const std::stop_token& stop) const {
    stopwatch.sleep_until(end_s(worker, job, began_s), stop);
  }

  /// Returns when such a job may end, on the run's clock, which is before now where it took longer by itself.
  /// It has done its work by now.
  double end_s(int worker, std::uint64_t job, double began_s) const {
    const double began = began_s / time_unit_s;
    const double work = delays.measured() ? now() / time_unit_s - began : delays.duration(worker, job);
    return speeds.end_time(worker, began, work) * time_unit_s;
  }

  /// The same for a stream that cannot ask when its job is done: how long a job that begins now is to last,
  /// max(duration_s, slowdown · what it took). For `measured` delays the slowdown is that at its
  /// beginning; an event in its middle counts from the next job on.
  struct Lasting {
    double duration_s = 0;
    double slowdown = 1;
  };
  Lasting lasting(int worker, std::uint64_t job) const {
    const double began = now() / time_unit_s;
    if (delays.measured()) return {.slowdown = speeds.slowdown(worker, began)};
    const double end = speeds.end_time(worker, began, delays.duration(worker, job));
    return {.duration_s = (end - began) * time_unit_s};
  }
};

}  // namespace tardigrad
