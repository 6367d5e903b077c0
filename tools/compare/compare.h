#pragma once

#include "tools/options/compare_options.h"
#include "tools/train/run_control.h"

namespace tardigrad {

/// Is `tardigrad compare`: executes runs of several methods, with several step sizes and seeds, and prints a
/// table of them. Throws std::invalid_argument for what the user can mend, before anything is computed or
/// written; what the runtime throws otherwise, but for runs that fail by themselves, which the table counts.
/// After a signal that the watch takes it shows what is complete.
/// The table is printed only if it is to be.
void compare(const CompareOptions& options, RunControl& control, bool prints = true);

}  // namespace tardigrad
