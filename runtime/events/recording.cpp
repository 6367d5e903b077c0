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
  write(json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
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
    if ((end_of_job && event.record.time < latest_time_) || event.record.compute_time < 0)
      throw std::invalid_argument("time");
    if (end_of_job) latest_time_ = event.record.time;
    return event;
  } catch (const std::exception&) {
    throw std::invalid_argument(place() + "not a record written by --record");
  }
}

ReplayClock::ReplayClock(Recording& recording, int workers)
    : recording_(recording),
      states_(static_cast<std::size_t>(workers)),
      lost_(states_.size()),
      next_(recording.next()) {}

void ReplayClock::start_job(int worker, std::uint64_t) {
  states_[static_cast<std::size_t>(worker)] = State::computing;
}

void ReplayClock::discard(int worker) {
  states_[static_cast<std::size_t>(worker)] = recording_.wall() ? State::discarded : State::idle;
}

std::optional<Clock::Arrived> ReplayClock::next(double deadline, const std::stop_token& stop) {
  if (stop.stop_requested() || !next_) return std::nullopt;
  if (next_->record.time > deadline) {
    now_ = std::max(now_, deadline);
    return std::nullopt;
  }
  latest_ = next_;
  place_ = recording_.place();
  const JobRecord& record = latest_->record;
  const int worker = record.worker;
  check_worker(worker);
  now_ = std::max(now_, record.time);
  Arrived arrived{worker, What::end_of_job, record.time};
  if (latest_->kind == Recording::Event::Kind::lost || latest_->kind == Recording::Event::Kind::back) {
    const bool lost = latest_->kind == Recording::Event::Kind::lost;
    check_change(worker, lost);
    lost_[static_cast<std::size_t>(worker)] = lost;
    arrived.what = lost ? What::lost : What::back;
  } else {
    check_end(worker);
    states_[static_cast<std::size_t>(worker)] = State::idle;
    arrived.compute_time = record.compute_time;
  }
  next_ = recording_.next();
  return arrived;
}

void ReplayClock::check_worker(int worker) const {
  if (worker >= 0 && worker < static_cast<int>(states_.size())) return;
  throw std::invalid_argument(
      fmt::format("{}worker {}, but this run has {}", place_, worker, states_.size()));
}

void ReplayClock::check_change(int worker, bool lost) const {
  if (lost_[static_cast<std::size_t>(worker)] != lost) return;
  throw std::invalid_argument(fmt::format("{}the recording {} worker {}, which in this run is {}", place_,
                                          lost ? "loses" : "has back", worker,
                                          lost ? "lost already" : "not lost"));
}

void ReplayClock::check_end(int worker) const {
  const State state = states_[static_cast<std::size_t>(worker)];
  const bool arrival = latest_->kind == Recording::Event::Kind::arrival;
  if (state == (arrival ? State::computing : State::discarded)) return;
  throw std::invalid_argument(
      fmt::format("{}the recording has {} of worker {}, which in this run computes {}", place_,
                  arrival ? "an arrival" : "the end of a discarded job", worker,
                  state == State::idle ? "nothing" : (arrival ? "a discarded job" : "a job")));
}

void ReplayClock::check(std::uint64_t job, std::uint64_t version) const {
  const JobRecord& record = latest_->record;
  if (record.job == job && record.version == version) return;
  throw std::invalid_argument(
      fmt::format("{}the recording has job {} of worker {} at version {}, this run job {} at version {}",
                  place_, record.job, record.worker, record.version, job, version));
}

}  // namespace tardigrad
