#pragma once

#include <cstdint>
#include <limits>

#include "kernels/operation.h"

/// Declares operations about the time on a device's own clock, in nanoseconds from some fixed moment: on a
/// GPU its global timer, one for all multiprocessors and streams; on a CPU the steady clock.

namespace tardigrad {

/// Is a run's stopwatch as a device sees it, in memory that it shares with the host, which writes `paused`
/// last.
struct PauseState {
  std::uint64_t paused_ns = 0;  ///< time of all pauses that are over
  std::uint32_t paused = 0;     ///< not 0 while it stands
};

/// Writes *time_ns ← the time when the stream gets here, and, with `pauses`, *paused_ns ← its paused_ns then.
struct StampTime {
  static constexpr const char* name = "stamp_time";

  std::uint64_t* time_ns = nullptr;  ///< in memory that the device can write
  PauseState* pauses = nullptr;      ///< shared with the host; or null
  std::uint64_t* paused_ns = nullptr;

  /// Computes on the calling thread. It throws std::logic_error for a null pointer that is needed, as
  /// launch() does.
  void run() const;

  /// Enqueues one thread. The current device must be the stream's.
  void launch(CudaStream stream) const;

  double bytes() const { return sizeof(std::uint64_t); }
  double flops() const { return 0; }
};

/// Holds up a stream until its job has lasted as long as a slower worker would have taken:
///
///     max(duration_ns, slowdown · (the time it took until here))
///
/// counted from *began_ns and without the pauses of the run's stopwatch. Only the stream waits: it is one
/// thread that sleeps most of the time. `cut_short`, set to anything but 0 by the host, ends it within some
/// 20 µs.
struct Stretch {
  static constexpr const char* name = "throttle";
  static constexpr double for_ever = std::numeric_limits<double>::infinity();

  const std::uint64_t* began_ns = nullptr;  ///< of a StampTime on the same device
  double duration_ns = 0;                   ///< may be infinite
  double slowdown = 1;
  PauseState* pauses = nullptr;                     ///< shared with the host; or null
  const std::uint64_t* paused_before_ns = nullptr;  ///< pauses->paused_ns when the job began; needed with it
  std::uint32_t* cut_short = nullptr;               ///< shared with the host; or null

  /// Blocks the calling thread. It throws std::logic_error if a pointer that is needed is null, as launch()
  /// does.
  void run() const;

  /// Enqueues one thread. The current device must be the stream's.
  void launch(CudaStream stream) const;

  double bytes() const { return sizeof(std::uint64_t); }
  double flops() const { return 0; }
};

}  // namespace tardigrad
