#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runtime/telemetry/telemetry.h"

namespace tardigrad {

/// Holds what a log does of a run, but for its updates and jobs.
struct LoggedRun {
  std::string log;       ///< its file, as it was named
  std::string run_json;  ///< the record that the log begins with
  std::vector<EvaluationRecord> evaluations;
  std::optional<RunSummary> summary;   ///< nothing where the run was killed, goes on, or failed
  std::optional<std::string> failure;  ///< why the run left the finite numbers
  bool is_whole = true;                ///< no part of it is gone, and no line could not be written
};

/// Reads a file of `--log`, with its older parts. Throws std::invalid_argument naming the file, and the line,
/// that is not a log.
LoggedRun read_logged_run(const std::string& log);

/// Returns what a reader calls each of the runs: the method and the step size; where those are the same for
/// several, also the seed, and as many other options as tell them apart; where nothing does, the file.
std::vector<std::string> labels_of(const std::vector<LoggedRun>& runs);

/// Returns the names of the options that the runs were not all given the same value of, as records have them.
std::vector<std::string> differing_options(const std::vector<LoggedRun>& runs);

}  // namespace tardigrad
