#pragma once

#include <optional>

#include "tools/live/live_page.h"
#include "tools/options/train_options.h"

namespace tardigrad {

/// What `--serve`, `--serve-host` and `--serve-token` ask for, with the token of TARDIGRAD_SERVE_TOKEN where
/// none is given; nothing where nothing is to be served. Throws std::invalid_argument, which never holds a
/// token: for an address that others reach, but no token, too.
std::optional<LiveOptions> serving(const TrainOptions& options);

}  // namespace tardigrad
