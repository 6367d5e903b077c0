#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tools/compare/sweep.h"
#include "tools/report/quartiles.h"

namespace tardigrad {

/// Holds the runs of a method with one step size, one for each seed.
struct StepSizeRuns {
  double lr = 0;
  std::span<const RunResult> runs;
};

struct MethodRuns {
  std::string method;
  std::vector<StepSizeRuns> step_sizes;  ///< ascending
};

/// Returns the index of the step size that reaches the target first, by the median over the seeds; where none
/// does, or there is no target, of the one that ends best; among equals of the smallest. Failed runs count as
/// the worst, missing ones not at all. Returns nothing where all are missing.
std::optional<std::size_t> best_step_size(const MethodRuns& runs, const std::optional<Target>& target);

/// Returns the times to the target over the seeds; infinite ones where a run failed or did not get there.
Quartiles time_to_target(const StepSizeRuns& runs);

/// Returns "90 %", "loss 0.1", or "||grad f||^2 0.1".
std::string to_string(const Target& target);

/// Returns a row for each method, at its best step size, and below it what there is to know of the others, as
/// lines. The text is empty where no run has an end.
std::string comparison_table(const std::vector<MethodRuns>& methods, const std::optional<Target>& target);

}  // namespace tardigrad
