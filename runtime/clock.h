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
#include <stop_token>
#include <utility>
#include <vector>

#include "kernels/device_time.h"
#include "runtime/delays.h"
#include "runtime/state_archive.h"
#include "runtime/worker_speeds.h"

namespace tardigrad {

/// Wall time of training: runs while resumed, stands while paused (set-up, evaluation). Threads may share it.
class Stopwatch {
 public:
  void resume();
  void pause();

  /// So many seconds have been run before, in an earlier process. While it stands.
  void set_elapsed_s(double elapsed_s);

  bool running() const;

  /// Seconds run so far.
  double elapsed_s() const;

  /// From now on, what a device is to know of the pauses is kept in `state`, which the watch must not outlive
  /// before it is told of another, or of none (null).
  void show_pauses(PauseState* state);

  /// Blocks until elapsed_s() ≥ time_s, however often it is paused meanwhile, or until stop is requested.
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

/// Decides in which order, and when, gradients arrive.
class Clock {
 public:
  static constexpr double never = std::numeric_limits<double>::infinity();

  /// A worker has brought a job to its end, be it one that was thrown away meanwhile.
  struct Arrived {
    int worker;
    double time;
    std::optional<double> compute_time = {};  ///< of the job, if the clock knows better than start and end
  };

  Clock() = default;
  Clock(const Clock&) = delete;
  Clock& operator=(const Clock&) = delete;
  virtual ~Clock() = default;

  /// Now, on this clock: seconds (wall) or units of the delay model (virtual).
  virtual double now() const = 0;

  /// Worker begins a job now.
  virtual void start_job(int worker, std::uint64_t job) = 0;

  /// The job that a worker has begun was thrown away.
  virtual void discard(int worker) = 0;

  /// Whether a discarded job still takes its worker's time, so that its end will arrive, or whether nothing
  /// more is heard of it.
  virtual bool lets_discarded_jobs_end() const = 0;

  /// Told which job and version the arrival returned last was; a replay throws std::invalid_argument if its
  /// recording has another.
  virtual void check(std::uint64_t, std::uint64_t) const {}

  /// Whether next() may still return something, without a deadline, if no more jobs begin.
  virtual bool expects_arrivals() = 0;

  /// Whether a recording has come to its end.
  virtual bool at_end() const { return false; }

  /// Its time, and with jobs when they end, where that does not come of itself.
  virtual void visit_state(StateArchive&, bool /*with_jobs*/) {}

  /// The next arrival, at its time; nothing if none came before `deadline`, a stop was requested, or, in wall
  /// time, every half second, arrivals or not, so that the caller looks after its devices. Moves now() to the
  /// time of what it returns; to the deadline if that comes first.
  virtual std::optional<Arrived> next(double deadline, const std::stop_token& stop) = 0;
};

/// Arrivals in the order of (end time, worker), end times from the delay model and the events: exactly
/// repeatable. Never blocks.
///
/// A worker computes one job at a time, so the queue is a tournament over the workers: a binary tree whose
/// nodes hold the worker below them that ends first. A change costs log₂ n comparisons.
class VirtualClock final : public Clock {
 public:
  VirtualClock(const Delays& delays, const WorkerSpeeds& speeds, int workers);

  double now() const override { return now_; }
  void start_job(int worker, std::uint64_t job) override;
  void discard(int worker) override { set_end(worker, never); }
  bool lets_discarded_jobs_end() const override { return false; }
  bool expects_arrivals() override;
  void visit_state(StateArchive& state, bool with_jobs) override;
  std::optional<Arrived> next(double deadline, const std::stop_token& stop) override;

 private:
  static constexpr int nobody = -1;
  void set_end(int worker, double time);
  void forget_over();
  void replay_matches(int worker);

  const Delays& delays_;
  const WorkerSpeeds& speeds_;
  double now_ = 0;
  int over_ = nobody;  // whose arrival was the latest, if it has no next job yet
  std::size_t workers_;
  int leaves_;                // a power of two, ≥ the number of workers
  std::vector<double> ends_;  // of each worker's job; `never` if it has none
  std::vector<int> winners_;  // winners_[1] is the first of all; the children of node i are 2i and 2i + 1
};

/// Arrivals as they happen. Time is the stopwatch's. Workers' streams say that a gradient is complete, or
/// next() asks for it.
class WallClock final : public Clock {
 public:
  /// What next() calls over and over while it waits, on its own thread; it calls gradient_complete() for
  /// whatever is complete.
  void poll_with(std::function<void()> poll) { poll_ = std::move(poll); }

  /// `speeds` may end workers for good; its times are in units of `time_unit_s` seconds.
  WallClock(const Stopwatch& stopwatch, const WorkerSpeeds& speeds, double time_unit_s, int workers)
      : stopwatch_(stopwatch),
        speeds_(speeds),
        time_unit_s_(time_unit_s),
        computing_(static_cast<std::size_t>(workers)) {}

  double now() const override { return stopwatch_.elapsed_s(); }
  void start_job(int worker, std::uint64_t) override { computing_[static_cast<std::size_t>(worker)] = true; }
  void discard(int) override {}
  bool lets_discarded_jobs_end() const override { return true; }
  bool expects_arrivals() override;
  std::optional<Arrived> next(double deadline, const std::stop_token& stop) override;

  /// Called by a worker's stream when a gradient is complete; any thread.
  void gradient_complete(int worker);

 private:
  const Stopwatch& stopwatch_;
  const WorkerSpeeds& speeds_;
  double time_unit_s_;
  void await_arrival(std::unique_lock<std::mutex>& lock, double wait_s, const std::stop_token& stop);
  std::function<void()> poll_;
  double looked_after_s_ = 0;    // when next() last returned nothing for that
  std::vector<bool> computing_;  // until its end was returned
  std::mutex mutex_;             // for what follows
  std::condition_variable_any arrived_;
  std::deque<Arrived> arrivals_;
};

}  // namespace tardigrad
