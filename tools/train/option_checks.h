#pragma once

#include "tools/options/train_options.h"
#include "tools/train/own_parts.h"

namespace tardigrad {

/// Throws std::invalid_argument for what can be seen to be wrong before any large file is read.
void check_options(const TrainOptions& options, const OwnParts& own = {});

}  // namespace tardigrad
