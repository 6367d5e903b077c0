#include "runtime/events/recording.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <stdexcept>

#include "runtime/base/json_text.h"
#include "runtime/base/output_path.h"
#include "runtime/base/trouble.h"
#include "runtime/telemetry/log_parts.h"

namespace tardigrad {
namespace {

/// Throws std::invalid_argument.
Recording::Event::Kind kind_of(const std::string& event) {
  using Kind = Recording::Event::Kind;
  if (event == "arrival") return Kind::arrival;
  if (event == "discarded") return Kind::discarded_over;
  if (event == "lost") return Kind::lost;
  if (event == "back") return Kind::back;
  throw std::invalid_argument(event);
}

}  // namespace

RunRecorder::RunRecorder(const std::filesystem::path& path, const std::string& run_json,
                         const std::optional<CheckpointRecord>& after, OutputFile::Limits limits) {
  constexpr const char* flag = "--record";
  if (!after) {
    file_.emplace(flag, path, run_json, limits);
  } else if (!is_stream(path) && cut_file(flag, path, run_json, *after)) {
    file_.emplace(flag, path, limits);
  } else {
    Trouble(fmt::format("{} {}", flag, path.string()))
        .tell(
            fmt::format("is no recording of this run up to checkpoint {}; nothing is recorded", after->name));
  }
}

void RunRecorder::write(const std::string& line) {
  if (!file_ || !whole_) return;
  whole_ = file_->write(line, true);
  if (!whole_) file_->tell("the recording ends here: more than what waits to be written is not kept");
}

// Shortest texts that read back to the same numbers.
void RunRecorder::on_arrival(const JobRecord& record) {
  write(fmt::format(R"({{"event":"arrival","worker":{},"job":{},"version":{},"time":{},"compute_time":{}}})",
                    record.worker, record.job, record.version, record.time, record.compute_time));
}

void RunRecorder::on_discarded_over(int worker, double time) {
  write(fmt::format(R"({{"event":"discarded","worker":{},"time":{}}})", worker, time));
}

void RunRecorder::on_worker_change(const WorkerChange& change) {
  const nlohmann::ordered_json json{{"event", change.lost ? "lost" : "back"},
                                    {"worker", change.worker},
                                    {"time", change.time},
                                    {"reason", change.reason}};
  // What a device says need not be UTF-8.
  write(json_text_of_any_bytes(json));
}

void RunRecorder::on_checkpoint(const CheckpointRecord& record) {
  write(checkpoint_line(record));
  if (file_) file_->begin_sync();
}

void RunRecorder::on_summary(const RunSummary&) {
  write(R"({"event":"end"})");
  if (file_) file_->flush();
}

Recording::Recording(std::string path, std::string flag)
    : path_(std::move(path)), flag_(std::move(flag)), file_(path_) {
  const auto refuse = [this](const char* reason) {
    throw std::invalid_argument(
        fmt::format("{} {}: {}; expected a file written by --record", flag_, path_, reason));
  };
  if (!file_) refuse("cannot be read");
  std::getline(file_, run_json_);
  ++line_;
  const auto run = parse_json(run_json_);
  if (!run.is_object() || run.value("event", nlohmann::json()) != "run" || !run.contains("clock")) {
    refuse("does not begin with a run record");
  }
  wall_ = run.at("clock") == "wall";
}

std::string Recording::place() const { return fmt::format("{} {}:{}: ", flag_, path_, line_); }

std::optional<Recording::Event> Recording::next() {
  std::string text;
  while (std::getline(file_, text)) {
    ++line_;
    const auto json = parse_json(text);
    const auto kind = json.is_object() ? json.value("event", nlohmann::json()) : nlohmann::json();
    if (kind == "end") return std::nullopt;
    if (kind == "checkpoint") continue;
    if (json.is_discarded() && file_.eof()) break;  // half a line
    return event_of(json);
  }
  cut_off_ = true;
  return std::nullopt;
}

Recording::Event Recording::event_of(const nlohmann::json& json) {
  try {
    Event event;
    event.kind = kind_of(json_member(json, "event"));
    event.record.worker = json_member(json, "worker");
    event.record.time = json_member(json, "time");
    if (event.kind == Event::Kind::arrival) {
      event.record.job = json_member(json, "job");
      event.record.version = json_member(json, "version");
      event.record.compute_time = json_member(json, "compute_time");
    } else if (event.kind != Event::Kind::discarded_over) {
      event.reason = std::string(json_member(json, "reason"));
    }
    // What befalls a worker is told at once, before ends of jobs that came earlier and are still to be looked
    // at.
    const bool end_of_job = event.kind == Event::Kind::arrival || event.kind == Event::Kind::discarded_over;
    if ((end_of_job && event.record.time < latest_time_) || event.record.compute_time < 0) {
      throw std::invalid_argument("time");
    }
    if (end_of_job) latest_time_ = event.record.time;
    return event;
  } catch (const std::exception&) {
    throw std::invalid_argument(place() + "not a record written by --record");
  }
}

}  // namespace tardigrad
