#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "runtime/base/fifo.h"
#include "runtime/base/histogram.h"
#include "runtime/base/state_archive.h"
#include "runtime/events/event_source.h"
#include "runtime/execution/orders.h"
#include "runtime/telemetry/telemetry.h"

namespace tardigrad {

/// Knows which jobs each worker has, and what became of those before. It is the only ledger of a run: it
/// numbers jobs, tells the event source which of them begin and which are thrown away, and writes the orders
/// that an executor follows.
///
/// A worker computes one job at a time, the others wait behind it, first in, first out. In wall time a job
/// that is thrown away still has to come to its end; what is handed to its worker until then is handed over
/// late, at the model as it is by then.
class JobBook {
 public:
  /// The event source outlives it.
  JobBook(int workers, EventSource& events) : events_(events), workers_(static_cast<std::size_t>(workers)) {}

  /// Gives the worker a job at the model of `version`; false if that has to wait for the end of one that was
  /// thrown away.
  bool hand_over(int worker, std::uint64_t version, Orders& orders);

  /// Throws away the job that the worker is computing; nothing if it has not even begun, because one thrown
  /// away before it goes on.
  std::optional<JobRecord> discard(int worker, Orders& orders);

  /// The job that the event's worker is computing has come to its end, at a model of `version`: takes it out
  /// of the book. Of the record it knows job, staleness and queue_time.
  GradientRecord arrive(const EventSource::Event& event, std::uint64_t version);

  /// Begins the worker's next job, if it has one and is free.
  void start_if_free(int worker, Orders& orders);

  /// The job that was thrown away is over: the worker is free. Returns how many were to be handed over
  /// meanwhile.
  int retire_discarded(int worker);

  /// The worker is lost: throws away all that it has. Returns the job that it was computing.
  std::optional<JobRecord> lose(int worker);

  /// Adds the times that an arrival waited to the account of its worker.
  void note_waiting(const GradientRecord& gradient);

  bool computes(int worker) const { return of(worker).computing; }
  /// Tells whether the worker still brings a job to its end that was thrown away.
  bool is_discarding(int worker) const { return of(worker).discarding; }
  /// Return the number of the job in flight, or of the last one, and when it began.
  std::uint64_t started_job(int worker) const { return of(worker).started_job; }
  double started_at(int worker) const { return of(worker).started_at; }

  /// Returns the jobs that each worker has, the oldest first.
  std::vector<std::vector<Job>> jobs() const;

  /// Returns what the worker has done until `now`. It leaves the device open.
  WorkerRecord summarise(int worker, double now) const;

  /// Visits what is known of all workers, a list a member; jobs start from versions up to `version`.
  void visit_state(StateArchive& state, std::uint64_t version);

  /// Takes from a state of another number of workers what of it holds for these: how many jobs each has had.
  void restore_numbers(StateArchive& state, int workers);

  /// In wall time jobs begin anew in another process: forgets that one is in flight.
  void stop(int worker) { of(worker).computing = false; }

 private:
  struct Worker {
    Fifo<Job> jobs;  // the first is being computed, if `computing`
    bool computing = false;
    bool discarding = false;
    int late_hand_overs = 0;  // that wait for the end of the one that is being discarded
    std::uint64_t handed_over = 0;
    double started_at = 0;
    std::uint64_t started_job = 0;
    double busy_time = 0;  // of the jobs that arrived or were thrown away
    double discarded_time = 0;
    std::uint64_t discarded_jobs = 0;
    double hand_over_time = 0;  // of the arrivals, as GradientRecord has it
    double queue_time = 0;
    Histogram staleness;  // of the arrivals
  };

  Worker& of(int worker) { return workers_[static_cast<std::size_t>(worker)]; }
  const Worker& of(int worker) const { return workers_[static_cast<std::size_t>(worker)]; }
  JobRecord throw_away(int worker);
  void visit_jobs(StateArchive& state, std::uint64_t version);

  EventSource& events_;
  std::vector<Worker> workers_;
};

}  // namespace tardigrad
