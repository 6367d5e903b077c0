#pragma once

#include <stop_token>

#include "tools/train_options.h"

namespace tardigrad {

/// `tardigrad train`: one run from options to saved model. Throws std::invalid_argument for what the user can
/// mend, before anything is computed or written; what the runtime throws otherwise.
void train(const TrainOptions& options, const std::stop_token& stop);

}  // namespace tardigrad
