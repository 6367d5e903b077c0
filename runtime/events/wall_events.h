#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "runtime/events/event_source.h"
#include "runtime/events/scripted_changes.h"
#include "runtime/events/stopwatch.h"

namespace tardigrad {

/// Returns arrivals as they happen. Time is the stopwatch's. Workers' streams say that a gradient is
/// complete, or next() asks for it.
class WallEvents final : public EventSource {
 public:
  /// Sets what next() calls over and over while it waits, on its own thread. `poll` calls gradient_complete()
  /// for whatever is complete.
  void poll_with(std::function<void()> poll) { poll_ = std::move(poll); }

  /// Sets what next() calls on its own thread whenever wake() was called, in place of that: it is called when
  /// something may have become complete.
  void look_when_woken(std::function<void()> look) { look_ = std::move(look); }

  /// Takes stopwatch and script, which outlive it. Times of `speeds` are in units of `time_unit_s` seconds.
  WallEvents(const Stopwatch& stopwatch, const EventScript& speeds, double time_unit_s)
      : stopwatch_(stopwatch), changes_(speeds, time_unit_s) {}

  double now() const override { return stopwatch_.elapsed_s(); }
  void start_job(int, std::uint64_t) override {}
  void discard(int) override {}
  bool lets_discarded_jobs_end() const override { return true; }
  bool knows_ends() const override { return false; }
  bool expects_changes() const override { return changes_.time() < never; }
  std::vector<int> skip_changes() override { return changes_.skip_to(now()); }
  void visit_state(StateArchive& state, bool with_jobs) override {
    if (with_jobs) changes_.visit_state(state);
  }
  std::optional<Event> next(double deadline, const std::stop_token& stop) override;

  /// Takes note that a gradient is complete, and returns the time. A worker's stream calls it, on any thread.
  /// `began` is when its job did, where that is not when the caller of next() has it started.
  double gradient_complete(int worker, std::optional<double> began = {});

  /// Has next() look (look_when_woken()). Any thread may call it.
  void wake();

 private:
  void await_arrival(std::unique_lock<std::mutex>& lock, double wait_s, const std::stop_token& stop);
  bool change_comes_first() const;

  const Stopwatch& stopwatch_;
  ScriptedChanges changes_;
  std::function<void()> poll_;
  std::function<void()> look_;
  double looked_after_s_ = 0;  // when next() last returned nothing for that
  std::mutex mutex_;           // for what follows
  std::condition_variable_any arrived_;
  std::deque<Event> arrivals_;
  bool woken_ = false;
};

}  // namespace tardigrad
