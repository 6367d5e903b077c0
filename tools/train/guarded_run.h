#pragma once

#include "runtime/telemetry/guard_rails.h"
#include "tools/options/train_options.h"
#include "tools/train/run_setup.h"

namespace tardigrad {

/// What the run has to be guarded against (GuardRails).
GuardedRun guarded_run(const TrainOptions& options, const RunSetup& setup);

}  // namespace tardigrad
