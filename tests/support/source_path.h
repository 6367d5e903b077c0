#pragma once

#include <cstdlib>
#include <string>

namespace tardigrad::testing {

/// Returns where a file of the project lies: below $TARDIGRAD_SOURCE, or where the tests were built.
inline std::string source_path(const std::string& file) {
  const char* other = std::getenv("TARDIGRAD_SOURCE");
  return (other != nullptr ? other : TARDIGRAD_SOURCE_DIR) + ("/" + file);
}

}  // namespace tardigrad::testing
