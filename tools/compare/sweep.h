#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "runtime/coordinator/stop_rule.h"
#include "runtime/device/devices.h"
#include "runtime/telemetry/telemetry.h"
#include "tools/compare/sweep_progress.h"
#include "tools/options/train_options.h"

namespace tardigrad {

/// Holds what came of a run.
struct RunResult {
  enum class Outcome { missing, complete, failed };

  Outcome outcome = Outcome::missing;         ///< an interrupted run is missing, too
  std::optional<EvaluationRecord> at_target;  ///< the first evaluation that reached the target
  RunSummary summary;                         ///< of a complete run
  std::string failure;                        ///< why a run failed
  double wall_s = 0;                          ///< set-up and evaluations counted

  bool complete() const { return outcome == Outcome::complete; }
  bool failed() const { return outcome == Outcome::failed; }
};

/// Holds runs that share a data set and devices.
struct Sweep {
  std::vector<TrainOptions> runs;  ///< each with its own seed, log, …; `workers` is given
  std::shared_ptr<const data::Dataset> dataset;
  Devices devices;
  std::optional<Target> target;  ///< what the runs are measured by: when an evaluation first reaches it
  std::map<std::size_t, RunResult> known;  ///< results of runs that need not be executed, by their index
};

/// Executes the runs whose results are not known, in virtual time on CPU devices side by side, each on its
/// share of them, else in turn on all. A run that leaves the finite numbers, or loses its workers, has
/// failed; whatever else one throws ends the sweep and is thrown. `progress` is told of the runs. `describe`
/// gives it the line for a run that is over; it may be called from any thread, but not for interrupted runs.
/// A requested stop ends the sweep soon. The results lie as the runs do and don't depend on the devices.
std::vector<RunResult> execute_sweep(
    const Sweep& sweep, SweepProgress& progress,
    const std::function<std::string(std::size_t, const RunResult&)>& describe, const std::stop_token& stop);

}  // namespace tardigrad
