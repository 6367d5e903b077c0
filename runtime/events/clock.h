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
#include <string>
#include <utility>
#include <vector>

#include "kernels/device_time.h"
#include "runtime/base/state_archive.h"
#include "runtime/events/delays.h"
#include "runtime/events/event_script.h"

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

  /// What happened to a worker: it has brought a job to its end, be it one that was thrown away meanwhile; or
  /// the script (or what is replayed) takes it out of the run, or has it back.
  enum class What { end_of_job, lost, back };

  struct Arrived {
    int worker;
    What what;
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

  /// Whether workers are still to be lost or to come back.
  virtual bool expects_changes() const = 0;

  /// Why, of the loss or return that next() returned last; one line.
  virtual std::string reason() const { return "as --events says"; }

  /// Whether a recording has come to its end.
  virtual bool at_end() const { return false; }

  /// Passes over all losses and returns of workers up to now; returns the workers that are lost now.
  virtual std::vector<int> skip_changes() { return {}; }

  /// Its time, and with jobs when they end and which losses and returns are still to come, where that does
  /// not come of itself.
  virtual void visit_state(StateArchive&, bool /*with_jobs*/) {}

  /// Whether a worker's job is on its way to its end.
  virtual bool is_computing(int /*worker*/) const { return true; }

  /// What comes next, at its time; of what happens at one time jobs end first. Nothing if that is after
  /// `deadline`, a stop was requested, or, in wall time, every half second, whatever comes, so that the
  /// caller looks after its devices. Moves now() to the time of what it returns; to the deadline if that
  /// comes first.
  virtual std::optional<Arrived> next(double deadline, const std::stop_token& stop) = 0;
};

/// Losses and returns of workers by a script, one after another.
class ScriptedChanges {
 public:
  /// `speeds` outlives it; its times are in units of `time_unit` of the clock.
  explicit ScriptedChanges(const EventScript& speeds, double time_unit = 1)
      : changes_(speeds.changes()), time_unit_(time_unit) {
    find_time();
  }

  /// Of the next one, on the clock; never if there is none.
  double time() const { return time_; }
  Clock::Arrived take();

  /// All up to a time; returns the workers that are lost then.
  std::vector<int> skip_to(double time);

  void visit_state(StateArchive& state) {
    state.number("changes", next_, std::size_t{0}, changes_.size());
    find_time();
  }

 private:
  void find_time() { time_ = next_ < changes_.size() ? changes_[next_].time * time_unit_ : Clock::never; }

  const std::vector<EventScript::Change>& changes_;
  double time_unit_;
  std::size_t next_ = 0;
  double time_ = 0;
};

/// Arrivals in the order of (end time, worker), end times from the delay model and the events: exactly
/// repeatable. Never blocks.
///
/// A worker computes one job at a time, so the queue is a tournament over the workers: a binary tree whose
/// nodes hold the worker below them that ends first. A change costs log₂ n comparisons.
class VirtualClock final : public Clock {
 public:
  VirtualClock(const Delays& delays, const EventScript& speeds, int workers);

  double now() const override { return now_; }
  void start_job(int worker, std::uint64_t job) override;
  void discard(int worker) override { set_end(worker, never); }
  bool is_computing(int worker) const override { return ends_[static_cast<std::size_t>(worker)] < never; }
  bool lets_discarded_jobs_end() const override { return false; }
  bool expects_changes() const override { return changes_.time() < never; }
  std::vector<int> skip_changes() override { return changes_.skip_to(now_); }
  void visit_state(StateArchive& state, bool with_jobs) override;
  std::optional<Arrived> next(double deadline, const std::stop_token& stop) override;

 private:
  static constexpr int nobody = -1;
  void set_end(int worker, double time);
  void forget_over();
  void replay_matches(int worker);

  const Delays& delays_;
  const EventScript& speeds_;
  ScriptedChanges changes_;
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

  /// Both outlive it; times of `speeds` are in units of `time_unit_s` seconds.
  WallClock(const Stopwatch& stopwatch, const EventScript& speeds, double time_unit_s)
      : stopwatch_(stopwatch), changes_(speeds, time_unit_s) {}

  double now() const override { return stopwatch_.elapsed_s(); }
  void start_job(int, std::uint64_t) override {}
  void discard(int) override {}
  bool lets_discarded_jobs_end() const override { return true; }
  bool expects_changes() const override { return changes_.time() < never; }
  std::vector<int> skip_changes() override { return changes_.skip_to(now()); }
  void visit_state(StateArchive& state, bool with_jobs) override {
    if (with_jobs) changes_.visit_state(state);
  }
  std::optional<Arrived> next(double deadline, const std::stop_token& stop) override;

  /// Called by a worker's stream when a gradient is complete; any thread.
  void gradient_complete(int worker);

 private:
  void await_arrival(std::unique_lock<std::mutex>& lock, double wait_s, const std::stop_token& stop);
  bool change_comes_first() const;

  const Stopwatch& stopwatch_;
  ScriptedChanges changes_;
  std::function<void()> poll_;
  double looked_after_s_ = 0;  // when next() last returned nothing for that
  std::mutex mutex_;           // for what follows
  std::condition_variable_any arrived_;
  std::deque<Arrived> arrivals_;
};

}  // namespace tardigrad
