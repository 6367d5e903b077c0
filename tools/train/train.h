#pragma once

#include "tools/options/train_options.h"
#include "tools/train/own_parts.h"
#include "tools/train/run_control.h"

namespace tardigrad {

struct Checkpoint;

/// `tardigrad train`: one run from the given options to saved model, from its beginning or from a checkpoint
/// on. Throws std::invalid_argument for what the user can mend, before anything is computed or written; what
/// the runtime throws otherwise. What the control requests ends the run as a limit does. Objective and method
/// may be the caller's own.
void train(const TrainOptions& given, const Checkpoint* checkpoint, RunControl& control,
           const OwnParts& own = {});

}  // namespace tardigrad
