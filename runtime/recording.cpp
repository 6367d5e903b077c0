#include "runtime/recording.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <stdexcept>

#include "runtime/json_text.h"
#include "runtime/log_parts.h"
#include "runtime/trouble.h"

namespace tardigrad {

RunRecorder::RunRecorder(const std::filesystem::path& path, const std::string& run_json,
                         const std::optional<CheckpointRecord>& after, OutputFile::Limits limits) {
  constexpr const char* flag = "--record";
  if (!after) {
    file_.emplace(flag, path, run_json, limits);
  } else if (cut_file(flag, path, run_json, *after)) {
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

void RunRecorder::on_checkpoint(const CheckpointRecord& record) {
  write(checkpoint_line(record));
  if (file_) file_->begin_sync();
}

void RunRecorder::on_summary(const RunSummary&) {
  write(R"({"event":"end"})");
  if (file_) file_->flush();
}

Recording::Recording(std::string path) : path_(std::move(path)), file_(path_) {
  const auto refuse = [this](const char* reason) {
    throw std::invalid_argument(
        fmt::format("--replay {}: {}; expected a file written by --record", path_, reason));
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

std::string Recording::place() const { return fmt::format("--replay {}:{}: ", path_, line_); }

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
    const std::string kind = json_member(json, "event");
    Event event;
    event.arrival = kind == "arrival";
    event.record.worker = json_member(json, "worker");
    event.record.time = json_member(json, "time");
    if (event.arrival) {
      event.record.job = json_member(json, "job");
      event.record.version = json_member(json, "version");
      event.record.compute_time = json_member(json, "compute_time");
    } else if (kind != "discarded") {
      throw std::invalid_argument("event");
    }
    if (event.record.time < latest_time_ || event.record.compute_time < 0)
      throw std::invalid_argument("time");
    latest_time_ = event.record.time;
    return event;
  } catch (const std::exception&) {
    throw std::invalid_argument(place() + "not a record written by --record");
  }
}

ReplayClock::ReplayClock(Recording& recording, int workers)
    : recording_(recording), states_(static_cast<std::size_t>(workers)), next_(recording.next()) {}

void ReplayClock::start_job(int worker, std::uint64_t) {
  states_[static_cast<std::size_t>(worker)] = State::computing;
}

void ReplayClock::discard(int worker) {
  states_[static_cast<std::size_t>(worker)] = recording_.wall() ? State::discarded : State::idle;
}

std::optional<Clock::Arrived> ReplayClock::next(double deadline, const std::stop_token& stop) {
  if (stop.stop_requested() || !next_) return std::nullopt;
  const JobRecord& record = next_->record;
  if (record.time > deadline) {
    now_ = std::max(now_, deadline);
    return std::nullopt;
  }
  latest_ = next_;
  place_ = recording_.place();
  if (record.worker < 0 || record.worker >= static_cast<int>(states_.size())) {
    throw std::invalid_argument(
        fmt::format("{}worker {}, but this run has {}", place_, record.worker, states_.size()));
  }
  State& state = states_[static_cast<std::size_t>(record.worker)];
  if (state != (latest_->arrival ? State::computing : State::discarded)) {
    throw std::invalid_argument(
        fmt::format("{}the recording has {} of worker {}, which in this run computes {}", place_,
                    latest_->arrival ? "an arrival" : "the end of a discarded job", record.worker,
                    state == State::idle ? "nothing" : (latest_->arrival ? "a discarded job" : "a job")));
  }
  state = State::idle;
  now_ = record.time;
  next_ = recording_.next();
  return Arrived{latest_->record.worker, now_, latest_->record.compute_time};
}

void ReplayClock::check(std::uint64_t job, std::uint64_t version) const {
  const JobRecord& record = latest_->record;
  if (record.job == job && record.version == version) return;
  throw std::invalid_argument(
      fmt::format("{}the recording has job {} of worker {} at version {}, this run job {} at version {}",
                  place_, record.job, record.worker, record.version, job, version));
}

}  // namespace tardigrad
