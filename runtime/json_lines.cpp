#include "runtime/json_lines.h"

#include <nlohmann/json.hpp>

namespace tardigrad {

JsonLines::JsonLines(const char* flag, const std::filesystem::path& path, const std::string& run_json)
    : file_(open_to_write(flag, path)) {
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
