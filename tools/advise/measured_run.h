#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "runtime/telemetry/telemetry.h"
#include "tools/options/train_options.h"

namespace tardigrad {

/// Holds what the log or the recording of a run says of it.
struct MeasuredRun {
  std::string file;
  TrainOptions options;  ///< of the run; `workers` is given
  /// Holds how long the jobs of each worker took, in their order: from the hand-over until the coordinator
  /// took the gradient up, in the units of the run's clock.
  std::vector<std::vector<double>> durations;
  std::vector<std::size_t> discarded;         ///< how many jobs of each worker were thrown away
  double time = 0;                            ///< of its last gradient
  std::vector<EvaluationRecord> evaluations;  ///< none in a recording
  std::optional<double> smoothness;           ///< L at the first model, if it was estimated
};

/// Reads a file of `--log` or `--record`. Throws std::invalid_argument naming the file where it is neither,
/// does not begin where its run does, holds no jobs, or fewer than eight of a worker; then the message says
/// how long a run it takes.
MeasuredRun read_measured_run(const std::string& file);

/// Returns the durations as a file that `--compute-time trace:FILE` reads.
std::string trace_text(const MeasuredRun& run);

/// Returns a time to three digits or more; "-" for one that never comes.
std::string to_three_digits(double time);

/// Says of the durations what delays are told by: how long the fastest and the slowest worker take, how much
/// the times of a worker vary, and how much each resembles the one before; in one line.
std::string describe_delays(const MeasuredRun& run);

}  // namespace tardigrad
