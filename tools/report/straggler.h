#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/base/histogram.h"

namespace tardigrad {

/// Holds what a worker's time went into, on the run's own clock. The rest of it the worker waited, or its
/// gradients queued.
struct WorkerTimes {
  std::string device;           ///< empty: not known
  double time = 0;              ///< since the run began, up to which all this is known
  std::uint64_t gradients = 0;  ///< that arrived
  std::uint64_t discarded_jobs = 0;
  double computing = 0;     ///< of the jobs whose gradients arrived
  double handing_over = 0;  ///< of those: server kernel and copies before they computed
  double queueing = 0;      ///< their gradients, until the coordinator took them up
  double discarded = 0;     ///< on jobs thrown away
  double unfinished = 0;    ///< on the job that the run's end cut off
  Histogram staleness;

  double busy() const { return computing + handing_over + discarded + unfinished; }
};

/// Holds a mean over the gradients of a worker.
struct GradientTime {
  double computing = 0;
  double handing_over = 0;
  double queueing = 0;

  double total() const { return computing + handing_over + queueing; }
};

enum class StragglerCause {
  none,        ///< nobody takes 1.5 times as long as the median worker
  compute,     ///< most of what the slowest takes longer than the median worker is computing,
  transfer,    ///< is the hand-over of the model,
  queue,       ///< is the queue of the coordinator
  unfinished,  ///< none of its gradients ever arrived
};

/// Returns "none", "compute", "transfer", "queue" or "unfinished".
std::string to_string(StragglerCause cause);

/// Names the worker that takes longest for a gradient.
struct Straggler {
  int worker = 0;
  StragglerCause cause = StragglerCause::none;
  GradientTime time;             ///< it takes for a gradient
  GradientTime median;           ///< the median worker, of each of these times
  double times_median = 0;       ///< its total, over the median of the totals; 0: not known
  double gradients_share = 0;    ///< of all gradients
  double idle_share = 0;         ///< of its time
  double others_idle_share = 0;  ///< mean over the other workers
};

constexpr double straggler_times_median = 1.5;

/// Finds the straggler of at least one worker.
Straggler find_straggler(const std::vector<WorkerTimes>& workers);

}  // namespace tardigrad
