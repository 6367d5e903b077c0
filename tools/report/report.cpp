#include "tools/report/report.h"

#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "runtime/run_log_reader.h"
#include "tools/report/page.h"
#include "tools/report/run_picture.h"

namespace tardigrad {
namespace {

std::string clock_of(const RunLogReader& log) {
  return nlohmann::json::parse(log.run_json()).value("clock", "wall");
}

std::string picture_of(RunLogReader& log, const std::string& file) {
  try {
    RunPicture picture(log.run_json());
    log.tell(picture);
    return picture.json();
  } catch (const std::invalid_argument& error) {
    const std::string what = error.what();
    throw std::invalid_argument(what.starts_with(file) ? what : fmt::format("{}: {}", file, what));
  }
}

void write_file(const char* flag, const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  if (!(file << text) || !file.flush()) {
    throw std::invalid_argument(
        fmt::format("{} {}: cannot be written; expected a path for the page", flag, path));
  }
}

}  // namespace

void write_report(const std::vector<std::string>& log_files, const std::string& page_file, const char* flag) {
  require_pages();
  std::vector<std::string> pictures;
  std::string clock;
  for (const std::string& file : log_files) {
    RunLogReader log(file);
    if (pictures.empty()) clock = clock_of(log);
    if (clock_of(log) != clock) {
      throw std::invalid_argument(fmt::format("{}: a run in {} time; expected {} time, as in {}", file,
                                              clock_of(log), clock, log_files.front()));
    }
    pictures.push_back(picture_of(log, file));
  }
  write_file(flag, page_file, report_page(page_data(pictures, false)));
}

}  // namespace tardigrad
