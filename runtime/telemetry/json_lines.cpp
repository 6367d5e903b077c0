#include "runtime/telemetry/json_lines.h"

#include <fmt/format.h>

#include "runtime/telemetry/log_parts.h"

namespace tardigrad {

JsonLines::JsonLines(const char* flag, const std::filesystem::path& path, const std::string& run_json,
                     OutputFile::Limits limits)
    : file_(flag, path, OutputFile::Begin::empty, limits) {
  write(run_record_line(run_json), true);
}

JsonLines::JsonLines(const char* flag, const std::filesystem::path& path, OutputFile::Limits limits)
    : file_(flag, path, OutputFile::Begin::behind, limits), bytes_(std::filesystem::file_size(path)) {}

bool JsonLines::write(const std::string& json, bool matters) {
  std::string gap;
  if (left_out_ > 0) gap = fmt::format("{{\"event\":\"gap\",\"lines\":{}}}\n", left_out_);
  if (!file_.write({gap, json, "\n"}, matters)) {
    ++left_out_;
    return false;
  }
  left_out_ = 0;
  bytes_ += gap.size() + json.size() + 1;
  return true;
}

}  // namespace tardigrad
