#include "tools/config_file.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <fstream>
#include <stdexcept>

#include "runtime/json_text.h"

namespace tardigrad {

std::vector<std::string> read_config(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::invalid_argument(fmt::format("--config {}: cannot be read", path));
  std::vector<std::string> options;
  for (const CLI::ConfigItem& item : CLI::ConfigTOML().from_config(file)) {
    if (!item.parents.empty() || item.inputs.empty()) {
      throw std::invalid_argument(
          fmt::format("--config {}: {}: expected lines of the form flag = value, in no section", path,
                      in_quotes(item.fullname())));
    }
    std::string flag = item.name;
    std::replace(flag.begin(), flag.end(), '_', '-');
    options.push_back(fmt::format("--{}={}", flag, fmt::join(item.inputs, ",")));
  }
  return options;
}

}  // namespace tardigrad
