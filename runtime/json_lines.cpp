#include "runtime/json_lines.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace tardigrad {

JsonLines::JsonLines(const char* flag, const std::filesystem::path& path, const std::string& run_json)
    : file_(std::fopen(path.c_str(), "w")) {
  if (!file_) {
    throw std::invalid_argument(
        fmt::format("{} {}: cannot be written: {}", flag, path.string(), std::strerror(errno)));
  }
  nlohmann::ordered_json run = {{"event", "run"}};
  run.update(nlohmann::ordered_json::parse(run_json));
  write(run.dump());
}

void JsonLines::write(const std::string& json) {
  std::fwrite(json.data(), 1, json.size(), file_.get());
  std::fputc('\n', file_.get());
  bytes_ += json.size() + 1;
}

}  // namespace tardigrad
