#include "tools/compare/earlier_results.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "runtime/base/json_text.h"
#include "runtime/events/delays.h"
#include "runtime/execution/execution.h"
#include "runtime/telemetry/run_log_reader.h"
#include "tools/compare/logged_run.h"
#include "tools/options/option_records.h"
#include "tools/options/option_table.h"
#include "tools/train/run_setup.h"
#include "tools/train/version.h"

namespace tardigrad {
namespace {

using RecordJson = nlohmann::ordered_json;

[[noreturn]] void refuse_log(const std::string& log, const std::string& difference) {
  throw std::invalid_argument(fmt::format(
      "{}: is of another run: {}; expected a --log-dir with logs of the same runs, or without any", log,
      difference));
}

std::string to_words(const RecordJson& value) {
  const std::string words = text_of(value);
  return words.empty() || value.is_null() ? "none" : words;
}

/// "cpu" of "cpu:0": what virtual time computes depends on nothing else of a device.
std::string backend_of(const std::string& device) { return device.substr(0, device.find(':')); }

std::string backend_in(const RecordJson& record) {
  const RecordJson devices = record.value("devices", RecordJson());
  if (!devices.is_array() || devices.empty() || !devices.front().is_string()) return "none";
  return backend_of(devices.front().get<std::string>());
}

/// Whether the results of the run depend on the option; in wall time they depend on whatever it runs on.
bool decides_results(const OptionRow& row, const TrainOptions& run) {
  if (run.clock == ClockKind::wall) return row.name != "data_dir";
  return !row.says_where;
}

void check_same_options(const std::string& log, const RecordJson& recorded, const TrainOptions& run) {
  for (const OptionRow& row : rows_of(Record::run)) {
    const RecordJson before = recorded.value(row.name, RecordJson());
    const RecordJson value = row.value(run);
    if (!decides_results(row, run) || before == value) continue;
    std::string words = row.name;
    std::ranges::replace(words, '_', ' ');
    refuse_log(log, fmt::format("{} is {} there, and {} here", words, to_words(before), to_words(value)));
  }
}

/// The files that a run is made of, besides its data set.
std::vector<std::string> files_of(const TrainOptions& run) {
  std::vector<std::string> files{run.init, run.events};
  if (is_quadratic(run)) files.push_back(quadratic_source(run));
  if (const auto trace = Delays::trace_file(run.compute_time)) files.push_back(*trace);
  return files;
}

void check_files_are_older(const TrainOptions& run) {
  std::error_code absent;
  const auto logged_at = std::filesystem::last_write_time(run.log, absent);
  for (const std::string& file : files_of(run)) {
    const auto changed_at = std::filesystem::last_write_time(file, absent);  // what is no file has no time
    if (!absent && changed_at > logged_at) refuse_log(run.log, fmt::format("{} has changed since", file));
  }
}

void check_is_of(const TrainOptions& run, const RecordJson& recorded, const std::string& backend) {
  check_same_options(run.log, recorded, run);
  const std::string version = to_words(recorded.value("version", RecordJson()));
  if (version != program_version) {
    refuse_log(run.log, fmt::format("it is of version {}, and this is version {}", version, program_version));
  }
  if (backend_in(recorded) != backend) {
    refuse_log(run.log, fmt::format("it ran on {}, and here it would on {}", backend_in(recorded), backend));
  }
  check_files_are_older(run);
}

/// A run that is killed right after its beginning leaves a log without a whole line.
bool has_begun(const std::string& log) {
  std::error_code absent;
  if (!std::filesystem::is_regular_file(log, absent)) return false;
  std::ifstream file(log);
  std::string line;
  std::getline(file, line);
  const std::string_view beginning = R"({"event":"run")";
  const bool cut_off = file.eof() && (line.empty() || line.starts_with(beginning));
  return !cut_off;
}

std::optional<RunResult> result_of(const LoggedRun& run, const std::optional<Target>& target) {
  RunResult result;
  if (target) result.at_target = first_at(*target, run.evaluations);
  if (run.failure) {
    result.outcome = RunResult::Outcome::failed;
    result.failure = *run.failure;
    return result;
  }
  if (!run.summary || run.summary->stop_reason == StopReason::interrupted) return std::nullopt;
  if (run.evaluations.empty()) return std::nullopt;
  result.outcome = RunResult::Outcome::complete;
  result.summary = *run.summary;
  result.summary.final_evaluation = run.evaluations.back().evaluation;  // with what the summary leaves out
  return result;
}

}  // namespace

std::optional<EvaluationRecord> first_at(const Target& target,
                                         const std::vector<EvaluationRecord>& evaluations) {
  const auto found = std::ranges::find_if(
      evaluations, [&](const EvaluationRecord& record) { return target.reached_by(record.evaluation); });
  return found != evaluations.end() ? std::optional(*found) : std::nullopt;
}

std::map<std::size_t, RunResult> earlier_results(const Sweep& sweep) {
  const std::string backend = backend_of(sweep.devices.workers.front().name());
  std::map<std::size_t, RunResult> results;
  for (std::size_t i = 0; i < sweep.runs.size(); ++i) {
    const std::string& log = sweep.runs[i].log;
    if (!has_begun(log)) continue;
    check_is_of(sweep.runs[i], parse_own_json<RecordJson>(RunLogReader(log).run_json()), backend);
    const LoggedRun run = read_logged_run(log);
    if (!run.is_whole) continue;
    if (auto result = result_of(run, sweep.target)) results.emplace(i, std::move(*result));
  }
  return results;
}

}  // namespace tardigrad
