#include "tools/compare/compare_outputs.h"

#include <fmt/format.h>
#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "runtime/base/output_path.h"
#include "runtime/base/say.h"
#include "tools/compare/evaluations_csv.h"
#include "tools/compare/logged_run.h"
#include "tools/report/page.h"
#include "tools/report/report.h"

namespace tardigrad {
namespace {

std::string make_temporary_folder() {
  std::string name = (std::filesystem::temp_directory_path() / "tardigrad-runs-XXXXXX").string();
  if (mkdtemp(name.data()) != nullptr) return name;
  throw std::runtime_error(fmt::format("no folder for logs can be made in {}: {}; expected one, or --log-dir",
                                       std::filesystem::temp_directory_path().string(),
                                       std::strerror(errno)));
}

void require_place_for(const char* flag, const std::string& file) {
  const auto refuse = [&](const std::string& reason) {
    throw std::invalid_argument(
        fmt::format("{} {}: {}; expected a file that can be written", flag, file, reason));
  };
  const std::filesystem::path path(file);
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : ".";
  if (std::filesystem::is_directory(path)) refuse("is a folder");
  if (std::filesystem::exists(path)) {
    if (access(path.c_str(), W_OK) != 0) refuse(std::strerror(errno));
  } else if (!std::filesystem::is_directory(folder)) {
    refuse("there is no folder " + folder.string());
  } else if (access(folder.c_str(), W_OK) != 0) {
    refuse("folder " + folder.string() + " is not writable");
  }
}

bool has_ended(const RunResult& result) { return result.outcome != RunResult::Outcome::missing; }

void write_csv(const std::string& file, const std::string& csv) {
  if (is_stream(file)) {
    try {
      write_to_stream(file, {std::as_bytes(std::span(csv))});
      return;
    } catch (const std::system_error& error) {
      throw std::runtime_error(fmt::format("--csv {}: cannot be written: {}", file, error.code().message()));
    }
  }
  std::ofstream out(file, std::ios::binary);
  if (!(out << csv) || !out.flush()) {
    throw std::runtime_error(fmt::format("--csv {}: cannot be written: {}", file, std::strerror(errno)));
  }
}

std::string csv_of(const Sweep& sweep, std::span<const RunResult> results, const LogFolder& logs) {
  std::vector<LoggedRun> runs;
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (!has_ended(results[i])) continue;
    LoggedRun& run = runs.emplace_back(read_logged_run(sweep.runs[i].log));
    if (logs.is_temporary()) run.log = std::filesystem::path(run.log).filename().string();
  }
  return evaluations_csv(runs);
}

/// The logs of the runs at each method's best step size.
std::vector<std::string> best_logs(const Sweep& sweep, std::span<const RunResult> results,
                                   const std::vector<MethodRuns>& methods) {
  std::vector<std::string> logs;
  for (const MethodRuns& method : methods) {
    const auto best = best_step_size(method, sweep.target);
    if (!best) continue;
    for (const RunResult& result : method.step_sizes[*best].runs) {
      if (has_ended(result)) {
        logs.push_back(sweep.runs[static_cast<std::size_t>(&result - results.data())].log);
      }
    }
  }
  return logs;
}

}  // namespace

LogFolder::LogFolder(std::string log_dir, bool is_needed)
    : path_(std::move(log_dir)), temporary_(path_.empty() && is_needed) {
  if (temporary_) path_ = make_temporary_folder();
}

LogFolder::~LogFolder() {
  std::error_code ignored;
  if (temporary_) std::filesystem::remove_all(path_, ignored);
}

void LogFolder::make() const {
  if (path_.empty()) return;
  std::error_code error;
  std::filesystem::create_directories(path_, error);
  if (error) {
    throw std::invalid_argument(fmt::format("--log-dir {}: cannot be made: {}", path_, error.message()));
  }
}

void check_comparison_outputs(const CompareOptions& options) {
  if (!options.csv.empty() && !is_stream(options.csv)) require_place_for("--csv", options.csv);
  if (options.report.empty()) return;
  require_pages();
  if (!is_stream(options.report)) require_place_for("--report", options.report);
}

std::FILE* table_stream(const CompareOptions& options) {
  const auto goes_to_stdout = [](const std::string& path) {
    return !path.empty() && descriptor_of(path) == STDOUT_FILENO;
  };
  return goes_to_stdout(options.csv) || goes_to_stdout(options.report) ? stderr : stdout;
}

void write_comparison_outputs(const CompareOptions& options, const Sweep& sweep,
                              std::span<const RunResult> results, const std::vector<MethodRuns>& methods,
                              const LogFolder& logs) {
  if (!options.csv.empty()) write_csv(options.csv, csv_of(sweep, results, logs));
  if (options.report.empty()) return;
  const std::vector<std::string> best = best_logs(sweep, results, methods);
  if (best.empty()) {
    say_line("--report {}: there is no run to draw yet", options.report);
    return;
  }
  write_report(best, options.report, "--report");
}

}  // namespace tardigrad
