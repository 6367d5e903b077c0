#pragma once

#include "tools/options/train_options.h"
#include "tools/train/interrupt.h"

namespace tardigrad {

struct Checkpoint;

/// `tardigrad train`: one run from options to saved model, from its beginning or from a checkpoint on. Throws
/// std::invalid_argument for what the user can mend, before anything is computed or written; what the runtime
/// throws otherwise. A signal that the watch takes ends the run as a limit does.
void train(const TrainOptions& options, const Checkpoint* checkpoint, InterruptWatch& interrupts);

}  // namespace tardigrad
