#include "runtime/telemetry/run_log_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "runtime/base/json_text.h"
#include "runtime/base/output_path.h"
#include "runtime/telemetry/log_parts.h"

namespace tardigrad {
namespace {

using nlohmann::json;
using OrderedJson = nlohmann::ordered_json;

template <typename T>
std::optional<T> or_nothing(const json& value) {
  return value.is_null() ? std::nullopt : std::optional<T>(value.get<T>());
}

/// How far a log has been told.
struct LogPlace {
  std::uint64_t update = 0;
  double time = 0;
  std::vector<WorkerRecord> workers;  // of the records so far
};

/// Whatever else stood there would become any number.
bool is_whole_if_there(const json& record, const char* name) {
  const auto count = record.find(name);
  return count == record.end() || count->is_number_integer();
}

bool counts_are_whole(const json& record) {
  constexpr std::array<const char*, 10> counts = {"worker",         "job",          "version",   "update",
                                                  "updates",        "gradients",    "staleness", "jobs",
                                                  "discarded_jobs", "staleness_max"};
  return std::ranges::all_of(counts, [&record](const char* name) { return is_whole_if_there(record, name); });
}

/// However many of them are added up, they stay numbers.
bool times_are_moderate(const json& record) {
  constexpr double most = 1e100;
  constexpr std::array<const char*, 11> times = {
      "time",       "train_time_s",      "compute_time",        "hand_over_time",
      "queue_time", "mean_compute_time", "mean_hand_over_time", "mean_queue_time",
      "idle_share", "busy_share",        "discarded_share"};
  return std::ranges::all_of(times, [&record](const char* name) {
    const auto time = record.find(name);
    return time == record.end() || !time->is_number() || std::abs(time->get<double>()) <= most;
  });
}

JobRecord job_of(const json& record) {
  return {record.at("worker"), record.at("job"), record.at("version"), record.at("time"),
          record.at("compute_time")};
}

GradientRecord gradient_of(const json& record) {
  GradientRecord gradient{.job = job_of(record)};
  gradient.hand_over_time = record.value("hand_over_time", 0.0);
  gradient.queue_time = record.value("queue_time", 0.0);
  gradient.gradients = record.at("gradients");
  gradient.loss = record.at("loss");
  return gradient;
}

UpdateRecord update_of(const json& record) {
  return {record.at("update"), record.at("time"),      record.at("worker"), record.at("staleness"),
          record.at("lr"),     record.at("gradients"), record.at("loss")};
}

/// Logs of older programs have none.
std::vector<std::optional<double>> class_accuracy_of(const json& record) {
  std::vector<std::optional<double>> classes;
  const json list = record.value("class_accuracy", json());
  if (list.is_null()) return classes;
  for (const json& accuracy : list.get_ref<const json::array_t&>()) {
    classes.push_back(or_nothing<double>(accuracy));
  }
  return classes;
}

EvaluationRecord evaluation_of(const json& record) {
  return {.update = record.at("update"),
          .time = record.at("time"),
          .train_time_s = record.at("train_time_s"),
          .gradients = record.at("gradients"),
          .evaluation = {.loss = record.at("loss"),
                         .accuracy = or_nothing<double>(record.at("accuracy")),
                         .class_accuracy = class_accuracy_of(record),
                         .objective = or_nothing<double>(record.value("objective", json())),
                         .gradient_norm_sq = or_nothing<double>(record.value("gradient_norm_sq", json()))},
          .train_loss = or_nothing<double>(record.at("train_loss")),
          .smoothness = or_nothing<double>(record.value("smoothness", json()))};
}

/// The largest value is known exactly.
Histogram staleness_of(const json& record) {
  Histogram histogram;
  const json counts = record.value("staleness_counts", json::array());
  for (const json& bucket : counts) {
    histogram.add(bucket.at(0).get_ref<const std::uint64_t&>(), bucket.at(1).get_ref<const std::uint64_t&>());
  }
  if (!counts.empty()) histogram.note_max(record.at("staleness_max"));
  return histogram;
}

WorkerRecord worker_of(const json& record) {
  WorkerRecord worker;
  worker.worker = record.at("worker");
  worker.device = record.at("device");
  worker.jobs = record.at("jobs");
  worker.mean_compute_time = record.at("mean_compute_time");
  worker.busy_share = record.at("busy_share");
  worker.discarded_jobs = record.at("discarded_jobs");
  worker.discarded_share = record.at("discarded_share");
  worker.mean_hand_over_time = record.value("mean_hand_over_time", 0.0);
  worker.mean_queue_time = record.value("mean_queue_time", 0.0);
  worker.staleness = staleness_of(record);
  return worker;
}

/// The value of that name; `last` where there is none.
template <typename Enum>
Enum value_named(const std::string& name, Enum last) {
  int value = 0;
  while (value < static_cast<int>(last) && to_string(static_cast<Enum>(value)) != name) ++value;
  return static_cast<Enum>(value);
}

Warning warning_of(const json& record) {
  return {value_named(record.at("kind"), Warning::Kind::log_gap), record.at("update"), record.at("time"),
          record.at("text")};
}

WorkerChange change_of(const json& record, bool lost) {
  return {record.at("worker"), lost, record.at("update"), record.at("time"), record.at("reason")};
}

CheckpointRecord checkpoint_of(const json& record) {
  return {record.at("name"), record.at("update"), record.at("gradients"), record.at("time")};
}

/// Lines that could not be written, as told to the owner of the run.
Warning gap_of(const json& record, const LogPlace& place) {
  const std::uint64_t lines = record.at("lines");
  return {Warning::Kind::log_gap, place.update, place.time,
          fmt::format("{} records of the log could not be written", lines)};
}

RunSummary summary_of(const json& record, std::vector<WorkerRecord> workers) {
  RunSummary summary;
  summary.updates = record.at("updates");
  summary.gradients = record.at("gradients");
  summary.time = record.at("time");
  summary.train_time_s = record.at("train_time_s");
  summary.final_evaluation = {.loss = record.at("final_loss"),
                              .accuracy = or_nothing<double>(record.at("final_accuracy"))};
  summary.evaluated_update = record.value("evaluated_update", summary.updates);
  summary.train_loss = or_nothing<double>(record.at("train_loss"));
  summary.staleness_max = record.at("staleness_max");
  summary.idle_share = record.at("idle_share");
  summary.discarded_share = record.at("discarded_share");
  summary.largest_drift = or_nothing<double>(record.at("largest_drift"));
  summary.stop_reason = value_named(record.at("stop_reason"), StopReason::interrupted);
  summary.workers = std::move(workers);
  return summary;
}

/// False where the gradient was computed at a version that the update only makes.
bool tell_update(const json& record, RunObserver& observer) {
  const UpdateRecord update = update_of(record);
  if (record.contains("job")) {
    GradientRecord gradient = gradient_of(record);
    if (gradient.job.version >= update.update) return false;
    gradient.update = update.update;
    gradient.staleness = update.update - 1 - gradient.job.version;
    observer.on_gradient(gradient);
  }
  observer.on_update(update);
  return true;
}

/// False for a record that no log has.
bool tell_record(const json& record, LogPlace& place, RunObserver& observer) {
  if (!record.is_object() || !counts_are_whole(record) || !times_are_moderate(record)) return false;
  const std::string event = record.at("event");
  place.update = record.value("update", place.update);
  place.time = record.value("time", place.time);
  if (event == "update") return tell_update(record, observer);
  if (event == "gradient") {
    GradientRecord gradient = gradient_of(record);
    gradient.staleness = record.at("staleness");
    observer.on_gradient(gradient);
  } else if (event == "discard") {
    observer.on_discard(job_of(record));
  } else if (event == "eval") {
    observer.on_evaluation(evaluation_of(record));
  } else if (event == "warning") {
    observer.on_warning(warning_of(record));
  } else if (event == "worker-lost" || event == "worker-back") {
    observer.on_worker_change(change_of(record, event == "worker-lost"));
  } else if (event == "checkpoint") {
    observer.on_checkpoint(checkpoint_of(record));
  } else if (event == "gap") {
    observer.on_warning(gap_of(record, place));
  } else if (event == "worker") {
    place.workers.push_back(worker_of(record));
  } else if (event == "summary") {
    observer.on_summary(summary_of(record, std::exchange(place.workers, {})));
  } else {
    return false;
  }
  return true;
}

/// Nothing where the line is no run record.
std::optional<json> run_record_of(const std::string& line) {
  json run = parse_json(line);
  const bool known = run.is_object() && run.value("event", json()) == "run" && run.contains("method") &&
                     run.value("clock", json("wall")).is_string() && is_whole_if_there(run, "part") &&
                     is_whole_if_there(run, "repeated");
  return known ? std::optional(std::move(run)) : std::nullopt;
}

std::string first_line_of(std::istream& file) {
  std::string line;
  std::getline(file, line);
  return line;
}

std::string first_line_of(const std::string& path) {
  std::ifstream file(path);
  return first_line_of(file);
}

/// Whether `older` begins the part before that of `run`.
bool comes_before(const json& older, json run) {
  const auto part = run.value("part", std::uint64_t{0});
  if (part == 0) return false;
  run["part"] = part - 1;
  run["repeated"] = older.value("repeated", json());
  return older == run;
}

/// The file and the parts before it that are still there, the oldest first.
std::vector<std::string> parts_of(const std::string& path, json run) {
  std::vector<std::string> parts{path};
  while (true) {
    const std::string name = older_part(path, parts.size());
    std::optional<json> older = run_record_of(first_line_of(name));
    if (!older || !comes_before(*older, std::move(run))) break;
    parts.push_back(name);
    run = std::move(*older);
  }
  std::reverse(parts.begin(), parts.end());
  return parts;
}

/// As far as the beginning of the line says, which is how logs are written.
bool is_of_more_detail(std::string_view line, LogDetail most) {
  if (most == LogDetail::jobs) return false;
  if (line.starts_with(R"({"event":"gradient",)") || line.starts_with(R"({"event":"discard",)")) return true;
  return most == LogDetail::evaluations && line.starts_with(R"({"event":"update",)");
}

/// How many lines behind it repeat what older parts hold. A part may be replaced while it is read.
std::uint64_t repeated_lines_of(const json& run) {
  return run.is_object() ? run.value("repeated", std::uint64_t{0}) : 0;
}

/// Tells the lines of a part behind its run record, without those that repeat what parts before it have told;
/// and then those of the next part, which a stream may hold behind them.
class PartTeller {
 public:
  PartTeller(LogDetail most, RunObserver& observer) : most_(most), observer_(observer) {}

  /// The stream is behind the run record, `run`. `name`: for messages.
  void tell(std::istream& part, const std::string& name, json run, bool is_first) {
    std::uint64_t repeated = is_first ? 0 : repeated_lines_of(run);
    std::uint64_t number = 1;
    for (std::string line; std::getline(part, line);) {
      ++number;
      if (repeated > 0) {
        --repeated;
        continue;
      }
      const bool whole = !part.eof();  // it has its end of line
      if (is_of_more_detail(line, most_) || tell_line(line)) continue;
      if (!whole) return;
      auto next = run_record_of(line);
      if (!next || !run.is_object() || !comes_before(run, *next)) {
        throw std::invalid_argument(
            fmt::format("{}:{}: not a record of a log written by --log", name, number));
      }
      run = std::move(*next);
      repeated = repeated_lines_of(run);
    }
  }

 private:
  bool tell_line(const std::string& line) {
    try {
      return tell_record(parse_json(line), place_, observer_);
    } catch (const json::exception&) {
      return false;
    }
  }

  LogDetail most_;
  RunObserver& observer_;
  LogPlace place_;
};

/// Whether it is stdin, a pipe or a device, which can be read but once.
bool is_read_once(const std::string& path) {
  std::error_code none;
  const auto status = std::filesystem::status(path, none);
  return path == "-" || (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status));
}

/// Null for a file.
std::shared_ptr<std::istream> open_source(const std::string& path) {
  if (!is_read_once(path)) return nullptr;
  if (path == "-") return {&std::cin, [](std::istream*) {}};
  return std::make_shared<std::ifstream>(path);
}

}  // namespace

void require_streams_once(const std::vector<std::string>& files) {
  std::set<std::string> seen;
  for (const std::string& file : files) {
    if (!is_read_once(file)) continue;
    const auto identity = identity_of(file == "-" ? "/dev/stdin" : file);
    if (!identity || seen.insert(*identity).second) continue;
    throw std::invalid_argument(fmt::format("{}: is named twice, and can be read but once", file));
  }
}

RunLogReader::RunLogReader(const std::string& path)
    : name_(path == "-" ? "stdin" : path), stream_(open_source(path)) {
  const auto refuse = [this](const char* reason) {
    throw std::invalid_argument(fmt::format("{}: {}; expected a file written by --log", name_, reason));
  };
  if (stream_ ? !*stream_ : !std::ifstream(path)) refuse("cannot be read");
  first_line_ = stream_ ? first_line_of(*stream_) : first_line_of(path);
  const auto run = run_record_of(first_line_);
  if (!run) refuse("does not begin with a run record");
  if (!stream_) parts_ = parts_of(path, *run);
  const auto first = stream_ ? run : run_record_of(first_line_of(parts_.front()));
  has_all_parts_ = !first || first->value("part", std::uint64_t{0}) == 0;
  auto record = parse_own_json<OrderedJson>(first_line_);
  for (const char* of_the_part : {"log", "part", "repeated"}) record.erase(of_the_part);
  run_json_ = json_text(record);
}

void RunLogReader::tell(RunObserver& observer, LogDetail most) {
  PartTeller teller(most, observer);
  if (stream_) teller.tell(*stream_, name_, run_record_of(first_line_).value_or(json()), true);
  for (const std::string& part : parts_) {
    std::ifstream file(part);
    teller.tell(file, part, run_record_of(first_line_of(file)).value_or(json()), part == parts_.front());
  }
}

}  // namespace tardigrad
