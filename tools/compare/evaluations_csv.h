#pragma once

#include <string>
#include <vector>

#include "tools/compare/logged_run.h"

namespace tardigrad {

/// Returns the evaluations of runs as comma-separated values, quoted as RFC 4180 says, for spreadsheets and
/// data frames: a heading, and a row for each run and evaluation. The columns are `log`, what every run is
/// told by (method, lr, seed, …), each other option that differs between the runs, and what was measured;
/// numbers are as exact as the logs have them, and cells without a value are empty.
std::string evaluations_csv(const std::vector<LoggedRun>& runs);

}  // namespace tardigrad
