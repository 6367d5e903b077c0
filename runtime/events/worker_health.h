#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/events/delays.h"
#include "runtime/events/event_script.h"

namespace tardigrad {

/// Tells workers that hang from those that are slow, in wall time (`--worker-timeout`).
///
/// A job may take what `--compute-time` says, and the time-out besides, all of that stretched by what
/// `--events` and `--throttle` say of its worker. The time-out is the one given, or 20 times the worker's
/// mean, at least 5 s: what a loaded machine does to a job of milliseconds is no hang. While a worker has
/// ended fewer than 3 jobs it is 20 times the largest mean that another has had; while there is none, nobody
/// hangs.
///
/// No checkpoint holds what it knows: a new process, maybe on another machine, begins slowly, and is given
/// time as the first one was.
///
/// Times are in seconds of the run's clock, which stands while models are evaluated.
class WorkerHealth {
 public:
  static constexpr double times_the_mean = 20;
  static constexpr double least_s = 5;
  static constexpr std::uint64_t jobs_to_know = 3;

  /// Takes delays and speeds, which outlive it, and their unit in seconds. `timeout_s` is that of
  /// `--worker-timeout`.
  WorkerHealth(const Delays& delays, const EventScript& speeds, double time_unit_s, int workers,
               std::optional<double> timeout_s);

  /// Takes note that a job came to its end.
  void add(int worker, double began_s, double took_s);

  /// Returns what a job of the worker may take besides what delays and speeds say. It is infinite while not
  /// known.
  double timeout_s(int worker) const;

  /// Returns when a job that began then is overdue. It is infinite while not known.
  double overdue_at(int worker, std::uint64_t job, double began_s) const;

  /// Says where the time-out of a worker comes from, for messages.
  std::string explain(int worker) const;

 private:
  /// Sums up the jobs of a worker that ended. Their work is what they would have taken without slowdowns.
  struct Seen {
    std::uint64_t jobs = 0;
    double work_s = 0;
    bool known() const { return jobs >= jobs_to_know; }
    double mean_s() const { return work_s / static_cast<double>(jobs); }
  };
  const Seen& seen(int worker) const { return seen_[static_cast<std::size_t>(worker)]; }

  const Delays& delays_;
  const EventScript& speeds_;
  double time_unit_s_;
  std::optional<double> given_s_;
  std::vector<Seen> seen_;
  double largest_mean_s_ = 0;  // that any worker has had; 0: none is known
};

}  // namespace tardigrad
