#pragma once

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/source_path.h"

namespace tardigrad::testing {

/// Returns where the case of that name lies: a problem, what is to be run on it, and what must come out.
inline std::string conformance_case(const std::string& name) {
  return source_path("tests/tools/train/conformance/" + name + ".json");
}

/// Returns the names of all cases in alphabetical order.
inline std::vector<std::string> conformance_case_names() {
  std::vector<std::string> names;
  const auto folder = std::filesystem::path(conformance_case("any")).parent_path();
  for (const auto& entry : std::filesystem::directory_iterator(folder)) names.push_back(entry.path().stem());
  std::ranges::sort(names);
  return names;
}

}  // namespace tardigrad::testing
