#pragma once

#include <toml++/toml.h>

#include <string>
#include <string_view>

namespace tardigrad {

/// Returns the text of a file that `flag` names. Throws std::invalid_argument if it cannot be read.
std::string read_text(const char* flag, const std::string& file);

/// Reads a TOML text, `file` of `flag`, which may begin with a byte order mark and come from anywhere. Throws
/// std::invalid_argument naming the file, the line and what is wrong there.
toml::table parse_toml(const char* flag, const std::string& file, std::string_view text);

}  // namespace tardigrad
