#pragma once

#include "tools/options/train_options.h"

namespace tardigrad {

/// Throws std::invalid_argument, naming flag and path, where what a run leaves cannot be where it is to be:
/// there is no such folder, nothing may be written there, two outputs would be the same file or stream, or
/// messages would get between the lines of one.
void check_outputs(const TrainOptions& options);

/// Whether an output of the run goes to stdout, so that nothing else may.
bool takes_stdout(const TrainOptions& options);

}  // namespace tardigrad
