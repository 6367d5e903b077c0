#pragma once

#include <string>
#include <vector>

#include "tools/options/given_options.h"

namespace tardigrad {

/// The options in a TOML file of `--config FILE`, in its order: a key is a flag without its dashes, an array
/// is a list. A value without quotes that is none of TOML's, such as mlp or 010, is text, as on a command
/// line. Throws std::invalid_argument naming the file, the line, and what was expected, if it cannot be read
/// as such.
std::vector<GivenOption> read_config(const std::string& path);

}  // namespace tardigrad
