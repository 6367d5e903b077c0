#include "tools/report/report.h"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <span>
#include <stdexcept>
#include <system_error>

#include "runtime/base/json_text.h"
#include "runtime/base/output_path.h"
#include "runtime/telemetry/run_log_reader.h"
#include "tools/report/page.h"
#include "tools/report/run_picture.h"

namespace tardigrad {
namespace {

std::string clock_of(const RunLogReader& log) {
  return parse_own_json(log.run_json()).value("clock", "wall");
}

std::string picture_of(RunLogReader& log) {
  try {
    RunPicture picture(log.run_json());
    log.tell(picture);
    return picture.json();
  } catch (const std::invalid_argument& error) {
    const std::string what = error.what();
    throw std::invalid_argument(what.starts_with(log.name()) ? what
                                                             : fmt::format("{}: {}", log.name(), what));
  }
}

/// Beforehand, as reading logs may take long.
void check_page_file(const char* flag, const std::string& path, const std::vector<std::string>& log_files) {
  std::error_code absent;
  for (const std::string& file : log_files) {
    if (!std::filesystem::equivalent(file, path, absent)) continue;
    throw std::invalid_argument(fmt::format("{} {}: is a log; expected a path for the page", flag, path));
  }
}

void write_page(const char* flag, const std::string& path, const std::string& text) {
  if (is_stream(path)) {
    try {
      write_to_stream(path, {std::as_bytes(std::span(text))});
      return;
    } catch (const std::system_error& error) {
      throw std::runtime_error(
          fmt::format("{} {}: cannot be written: {}", flag, path, error.code().message()));
    }
  }
  std::ofstream file(path, std::ios::binary);
  if (!(file << text) || !file.flush()) {
    throw std::invalid_argument(
        fmt::format("{} {}: cannot be written; expected a path for the page", flag, path));
  }
}

}  // namespace

void write_report(const std::vector<std::string>& log_files, const std::string& page_file, const char* flag) {
  require_pages();
  check_page_file(flag, page_file, log_files);
  require_streams_once(log_files);
  std::vector<std::string> pictures;
  std::string clock;
  for (const std::string& file : log_files) {
    RunLogReader log(file);
    if (pictures.empty()) clock = clock_of(log);
    if (clock_of(log) != clock) {
      throw std::invalid_argument(fmt::format("{}: a run in {} time; expected {} time, as in {}", log.name(),
                                              clock_of(log), clock, log_files.front()));
    }
    pictures.push_back(picture_of(log));
  }
  write_page(flag, page_file, report_page(page_data(pictures, false)));
}

}  // namespace tardigrad
