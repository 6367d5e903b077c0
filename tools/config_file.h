#pragma once

#include <string>
#include <vector>

namespace tardigrad {

/// The options in a TOML file of `--config FILE`, as "--flag=value": a key is a flag without its dashes, an
/// array is a list. Throws std::invalid_argument naming the file, and what was expected, if it cannot be read
/// as such.
std::vector<std::string> read_config(const std::string& path);

}  // namespace tardigrad
