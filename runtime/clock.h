#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <queue>
#include <stop_token>
#include <utility>
#include <vector>

#include "runtime/delays.h"

namespace tardigrad {

/// Wall time of training: runs while resumed, stands while paused (set-up, evaluation). Threads may share it.
class Stopwatch {
 public:
  void resume();
  void pause();

  bool running() const;

  /// Seconds run so far.
  double elapsed_s() const;

  /// Blocks until elapsed_s() ≥ time_s, however often it is paused meanwhile, or until stop is requested.
  void sleep_until(double time_s, const std::stop_token& stop) const;

 private:
  using SteadyClock = std::chrono::steady_clock;
  double elapsed_s_locked() const;

  mutable std::mutex mutex_;
  mutable std::condition_variable_any changed_;
  bool running_ = false;
  double before_s_ = 0;  // run until the last pause
  SteadyClock::time_point resumed_at_;
};

/// Decides in which order, and when, gradients arrive.
class Clock {
 public:
  static constexpr double never = std::numeric_limits<double>::infinity();

  struct Arrived {
    int worker;
    double time;
  };

  Clock() = default;
  Clock(const Clock&) = delete;
  Clock& operator=(const Clock&) = delete;
  virtual ~Clock() = default;

  /// Now, on this clock: seconds (wall) or units of the delay model (virtual).
  virtual double now() const = 0;

  /// Worker begins a job now.
  virtual void start_job(int worker, std::uint64_t job) = 0;

  /// The next arrival, at its time; nothing if none came before `deadline`, a stop was requested, or, in wall
  /// time, a while passed (so that the caller can look after its devices). Moves now() to the time of what it
  /// returns; to the deadline if that comes first.
  virtual std::optional<Arrived> next(double deadline, const std::stop_token& stop) = 0;
};

/// Arrivals in the order of (end time, worker), end times from the delay model: exactly repeatable. Never
/// blocks.
class VirtualClock final : public Clock {
 public:
  explicit VirtualClock(const Delays& delays) : delays_(delays) {}

  double now() const override { return now_; }
  void start_job(int worker, std::uint64_t job) override;
  std::optional<Arrived> next(double deadline, const std::stop_token& stop) override;

 private:
  using End = std::pair<double, int>;  // (time, worker)
  const Delays& delays_;
  double now_ = 0;
  std::priority_queue<End, std::vector<End>, std::greater<>> ends_;
};

/// Arrivals as they happen. Time is the stopwatch's.
class WallClock final : public Clock {
 public:
  explicit WallClock(const Stopwatch& stopwatch) : stopwatch_(stopwatch) {}

  double now() const override { return stopwatch_.elapsed_s(); }
  void start_job(int, std::uint64_t) override {}
  std::optional<Arrived> next(double deadline, const std::stop_token& stop) override;

  /// Called by a worker's stream when a gradient is complete; any thread.
  void gradient_complete(int worker);

 private:
  const Stopwatch& stopwatch_;
  std::mutex mutex_;
  std::condition_variable_any arrived_;
  std::deque<Arrived> arrivals_;
};

}  // namespace tardigrad
