#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "runtime/base/state_archive.h"

namespace tardigrad {

/// Decides what comes next, and when: gradients that arrive, workers that are lost or come back.
class EventSource {
 public:
  static constexpr double never = std::numeric_limits<double>::infinity();

  /// Says what happened to a worker: it has brought a job to its end, be it one that was thrown away
  /// meanwhile; or the script (or what is replayed) takes it out of the run, or has it back.
  enum class Kind { end_of_job, lost, back };

  struct Event {
    int worker;
    Kind kind;
    double time;
    std::optional<double> compute_time = {};  ///< of the job, if the clock knows better than start and end
  };

  EventSource() = default;
  EventSource(const EventSource&) = delete;
  EventSource& operator=(const EventSource&) = delete;
  virtual ~EventSource() = default;

  /// Returns the time of the run's clock: seconds (wall) or units of the delay model (virtual).
  virtual double now() const = 0;

  /// Takes note that a worker begins a job now.
  virtual void start_job(int worker, std::uint64_t job) = 0;

  /// Takes note that the job that a worker has begun was discarded.
  virtual void discard(int worker) = 0;

  /// Tells whether a discarded job still takes its worker's time, so that its end will arrive. If not,
  /// nothing more is heard of it.
  virtual bool lets_discarded_jobs_end() const = 0;

  /// Is told which job and version the arrival returned last was. A replay throws std::invalid_argument if
  /// its recording has another.
  virtual void check(std::uint64_t, std::uint64_t) const {}

  /// Tells whether workers are still to be lost or to come back.
  virtual bool expects_changes() const = 0;

  /// Returns the reason, one line, for the failure or return of a worker that next() returned last.
  virtual std::string reason() const { return "as --events says"; }

  /// Tells whether a recording has come to its end.
  virtual bool at_end() const { return false; }

  /// Passes over all failures and returns of workers up to now, and returns the workers that are lost now.
  virtual std::vector<int> skip_changes() { return {}; }

  /// Visits its time and, with jobs, when they end and which failures and returns are still to come, where
  /// that does not come of itself.
  virtual void visit_state(StateArchive&, bool /*with_jobs*/) {}

  /// Tells whether its state says when jobs in flight end. If not, a run that goes on begins them anew.
  virtual bool knows_ends() const { return true; }

  /// Tells whether a worker's job is on its way to its end.
  virtual bool is_computing(int /*worker*/) const { return true; }

  /// Waits for what comes next and returns it, with its time. Of what happens at one time jobs end first.
  /// Returns nothing if it comes after `deadline`, if a stop was requested, or, in wall time, every half
  /// second, whatever comes, so that the caller looks after its devices. Moves now() to the time of what it
  /// returns; to the deadline if that comes first.
  virtual std::optional<Event> next(double deadline, const std::stop_token& stop) = 0;
};

}  // namespace tardigrad
