#pragma once

#include "runtime/guard_rails.h"
#include "tools/run_setup.h"
#include "tools/train_options.h"

namespace tardigrad {

/// What the run has to be guarded against (GuardRails).
GuardedRun guarded_run(const TrainOptions& options, const RunSetup& setup);

}  // namespace tardigrad
