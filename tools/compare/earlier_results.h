#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <vector>

#include "tools/compare/sweep.h"

namespace tardigrad {

/// Returns the first of the evaluations that reached the target, if one did.
std::optional<EvaluationRecord> first_at(const Target& target,
                                         const std::vector<EvaluationRecord>& evaluations);

/// Returns the results, by their index, of runs of the sweep whose logs (TrainOptions::log) an earlier sweep
/// has left, and that came to their end there, or left the finite numbers. All that the result is made of is
/// read from the log, to the bit. A log that ends early, or has lost lines, counts as none. Throws
/// std::invalid_argument naming the file, and the first difference, where a log is of a run with other
/// options, or of none.
std::map<std::size_t, RunResult> earlier_results(const Sweep& sweep);

}  // namespace tardigrad
