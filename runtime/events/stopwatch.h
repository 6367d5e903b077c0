#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <stop_token>

#include "kernels/device_time.h"

namespace tardigrad {

/// Measures the wall time of training: runs while resumed, stands while paused (set-up, evaluation). Threads
/// may share it.
class Stopwatch {
 public:
  void resume();
  void pause();

  /// Sets the seconds that were run before, in an earlier process. It is called while the watch stands.
  void set_elapsed_s(double elapsed_s);

  bool running() const;

  /// Returns the seconds run so far.
  double elapsed_s() const;

  /// Keeps what a device is to know of the pauses in `state` from now on. The watch must not outlive it
  /// before it is told of another, or of none (null).
  void show_pauses(PauseState* state);

  /// Blocks until elapsed_s() ≥ time_s, however often the watch is paused meanwhile, or until stop is
  /// requested.
  void sleep_until(double time_s, const std::stop_token& stop) const;

 private:
  using SteadyClock = std::chrono::steady_clock;
  double elapsed_s_locked() const;
  void show_locked();

  mutable std::mutex mutex_;
  mutable std::condition_variable_any changed_;
  bool running_ = false;
  double before_s_ = 0;  // run until the last pause
  SteadyClock::time_point resumed_at_;
  SteadyClock::time_point paused_at_ = SteadyClock::now();
  SteadyClock::duration paused_{};  // all pauses that are over
  PauseState* shown_ = nullptr;
};

}  // namespace tardigrad
