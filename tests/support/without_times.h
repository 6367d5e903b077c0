#pragma once

#include <regex>
#include <string>

namespace tardigrad::testing {

/// What was said on stderr, without the times that stand before its lines where that is no terminal.
inline std::string without_times(const std::string& said) {
  static const std::regex time(R"((^|\n)\d{4}-\d\d-\d\dT[\d:.]+[+-]\d\d:\d\d )");
  return std::regex_replace(said, time, "$1");
}

}  // namespace tardigrad::testing
