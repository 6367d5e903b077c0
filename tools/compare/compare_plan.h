#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tools/compare/sweep.h"
#include "tools/options/compare_options.h"

namespace tardigrad {

/// Returns the file of a run's log in a folder of logs; none where there is no folder.
std::string log_in(const std::string& log_dir, const TrainOptions& run);

/// Returns the target that the options name, if they do.
std::optional<Target> target_of(const TrainOptions& options);

/// Plans the runs of a comparison, by method, then step size, then seed, each with its log in `log_dir`
/// (none: no logs). All of it is checked: whatever the user can mend throws std::invalid_argument here,
/// before the first run.
Sweep plan_sweep(const CompareOptions& options, const std::vector<Contestant>& contestants,
                 const std::string& log_dir);

}  // namespace tardigrad
