#pragma once

#include <stop_token>
#include <vector>

#include "tools/compare/sweep.h"

namespace tardigrad {

/// Executes the sweep (execute_sweep()), and shows on stderr how it goes on.
std::vector<RunResult> execute_shown(const Sweep& sweep, const std::stop_token& stop);

}  // namespace tardigrad
