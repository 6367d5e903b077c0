#include "runtime/telemetry/trace_events.h"

#include <fmt/compile.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>

#include "runtime/base/json_text.h"

namespace tardigrad {
namespace {

// Viewers show processes and tracks by these numbers; of several ranks each is one behind the other.
constexpr int first_process = 1;
constexpr int server_track = 1;
constexpr int evaluation_track = 2;
constexpr int first_worker_track = 100;

constexpr std::int64_t update_width_ns = 100;
constexpr std::size_t arrows_an_update = 1000;

std::int64_t to_ns(double time) {
  constexpr double largest = 9e9;  // so that nanoseconds fit
  return std::llround(std::clamp(time, 0.0, largest) * 1e9);
}

/// Of the optional accuracy.
std::string evaluation_args(const EvaluationRecord& record) {
  std::string args = fmt::format(R"("update":{},"gradients":{},"loss":{})", record.update, record.gradients,
                                 record.evaluation.loss);
  if (record.evaluation.accuracy) args += fmt::format(R"(,"accuracy":{})", *record.evaluation.accuracy);
  return args;
}

}  // namespace

TraceEvents::TraceEvents(const std::string& run_json) {
  using Json = nlohmann::ordered_json;
  const Json run = parse_own_json<Json>(run_json);
  std::string name = "tardigrad " + run.value("method", "");
  if (run.value("clock", "") == "virtual") name += ", virtual time (a unit is drawn as a second)";
  ranks_ = run.value("rank_of_worker", std::vector<int>());
  name_process(first_process, ranks_.empty() ? name : "rank 0: " + name);
  for (const int rank : std::set<int>(ranks_.begin(), ranks_.end())) {
    if (rank > 0) name_process(first_process + rank, fmt::format("rank {}", rank));
  }
  name_track(server_track, "server");
  name_track(evaluation_track, "evaluation");
  text_ += ",\n" + json_text(Json{{"name", "run"},
                                  {"ph", "i"},
                                  {"s", "p"},
                                  {"pid", first_process},
                                  {"tid", server_track},
                                  {"ts", 0},
                                  {"args", {{"command", run.value("command", "")}}}});
}

void TraceEvents::add(const GradientRecord& record) {
  const JobRecord& job = record.job;
  const int track = worker_track(job.worker);
  const double began = job.time - job.compute_time;
  std::optional<Slice> hand_over;
  if (record.hand_over_time > 0) {
    hand_over = slice(track, "hand-over", to_ns(began), to_ns(began + record.hand_over_time));
  }
  const Slice computing = slice(track, "computing", to_ns(began + record.hand_over_time), to_ns(job.time),
                                fmt::format(FMT_COMPILE(R"("job":{},"version":{},"staleness":{},"loss":{})"),
                                            job.job, job.version, record.staleness, record.loss));
  model_arrow(job.version, track, hand_over.value_or(computing));
  if (record.queue_time > 0) slice(track, "queued", to_ns(job.time), to_ns(job.time + record.queue_time));
  if (record.update != 0) queue_time_ = record.queue_time;
  if (waiting_.size() == arrows_an_update) waiting_.pop_front();
  waiting_.push_back({track, computing.end_ns - 1});  // the end itself may belong to the next slice
}

void TraceEvents::add(const UpdateRecord& record) {
  const std::int64_t time_ns = to_ns(record.time + std::exchange(queue_time_, 0.0));
  const Slice update = slice(
      server_track, "update", time_ns, time_ns + update_width_ns,
      fmt::format(FMT_COMPILE(R"("update":{},"worker":{},"staleness":{},"lr":{},"gradients":{},"loss":{})"),
                  record.update, record.worker, record.staleness, record.lr, record.gradients, record.loss));
  if (updates_ns_.empty()) first_update_ = record.update;
  updates_ns_.push_back(update.begin_ns);
  for (const Point& gradient : waiting_) arrow("gradient", gradient, {server_track, update.begin_ns});
  waiting_.clear();
}

void TraceEvents::add(const JobRecord& discarded) {
  const int track = worker_track(discarded.worker);
  const Slice job =
      slice(track, "discarded", to_ns(discarded.time - discarded.compute_time), to_ns(discarded.time),
            fmt::format(R"("job":{},"version":{})", discarded.job, discarded.version));
  model_arrow(discarded.version, track, job);
}

void TraceEvents::add(const EvaluationRecord& record) {
  const std::int64_t time_ns = to_ns(record.time);
  fmt::format_to(std::back_inserter(text_),
                 ",\n"
                 R"({{"name":"evaluation","ph":"i","s":"t","pid":{},"tid":{},"ts":{}.{:03},"args":{{{}}}}})",
                 first_process, evaluation_track, time_ns / 1000, time_ns % 1000, evaluation_args(record));
}

void TraceEvents::add(const LeftOut& record) {
  slice(server_track, "left out", end_of(server_track), to_ns(record.until),
        fmt::format(R"("gradients":{},"updates":{},"discarded":{},"why":"--trace-size")", record.gradients,
                    record.updates, record.discarded));
  queue_time_ = 0;
  waiting_.clear();
  updates_ns_.clear();
}

/// At least a nanosecond wide, behind the track's last slice.
TraceEvents::Slice TraceEvents::slice(int track, const char* name, std::int64_t begin_ns, std::int64_t end_ns,
                                      const std::string& args) {
  std::int64_t& last_end_ns = end_of(track);
  begin_ns = std::max(begin_ns, last_end_ns);
  end_ns = std::max(end_ns, begin_ns + 1);
  last_end_ns = end_ns;
  const std::int64_t width_ns = end_ns - begin_ns;
  fmt::format_to(
      std::back_inserter(text_),
      FMT_COMPILE(",\n"
                  R"({{"name":"{}","ph":"X","pid":{},"tid":{},"ts":{}.{:03},"dur":{}.{:03},"args":{{{}}}}})"),
      name, process_of(track), track, begin_ns / 1000, begin_ns % 1000, width_ns / 1000, width_ns % 1000,
      args);
  return {begin_ns, end_ns};
}

/// The ends of an arrow belong to the slices they lie in.
void TraceEvents::arrow(const char* name, Point from, Point to) {
  ++arrows_;
  fmt::format_to(
      std::back_inserter(text_),
      FMT_COMPILE(
          ",\n"
          R"({{"name":"{}","cat":"flow","ph":"s","id":{},"pid":{},"tid":{},"ts":{}.{:03}}},)"
          "\n"
          R"({{"name":"{}","cat":"flow","ph":"f","bp":"e","id":{},"pid":{},"tid":{},"ts":{}.{:03}}})"),
      name, arrows_, process_of(from.track), from.track, from.time_ns / 1000, from.time_ns % 1000, name,
      arrows_, process_of(to.track), to.track, to.time_ns / 1000, to.time_ns % 1000);
}

/// From the update that made the version, if its slice is there, to the beginning of the job.
void TraceEvents::model_arrow(std::uint64_t version, int track, Slice job) {
  if (version < first_update_ || version - first_update_ >= updates_ns_.size()) return;
  const std::int64_t update_ns = updates_ns_[version - first_update_];
  // Updates of one moment are drawn one behind the other, the last perhaps after jobs that began on it.
  const std::int64_t begin_ns = std::max(job.begin_ns, update_ns);
  if (begin_ns < job.end_ns) arrow("model", {server_track, update_ns}, {track, begin_ns});
}

std::int64_t& TraceEvents::end_of(int track) {
  const auto index = static_cast<std::size_t>(track);
  if (index >= ends_ns_.size()) ends_ns_.resize(index + 1, -1);
  return ends_ns_[index];
}

int TraceEvents::worker_track(int worker) {
  const int track = first_worker_track + worker;
  if (end_of(track) < 0) name_track(track, fmt::format("worker {}", worker));
  return track;
}

int TraceEvents::process_of(int track) const {
  if (track < first_worker_track || ranks_.empty()) return first_process;
  return first_process + ranks_.at(static_cast<std::size_t>(track - first_worker_track));
}

void TraceEvents::name_process(int process, const std::string& name) {
  using Json = nlohmann::ordered_json;
  const auto say = [&](const char* what, const Json& args) {
    if (!text_.empty()) text_ += ",\n";
    text_ += json_text(Json{{"name", what}, {"ph", "M"}, {"pid", process}, {"args", args}});
  };
  say("process_name", {{"name", name}});
  if (!ranks_.empty()) say("process_sort_index", {{"sort_index", process}});
}

void TraceEvents::name_track(int track, const std::string& name) {
  end_of(track) = 0;
  fmt::format_to(std::back_inserter(text_),
                 ",\n"
                 R"({{"name":"thread_name","ph":"M","pid":{},"tid":{},"args":{{"name":"{}"}}}},)"
                 "\n"
                 R"({{"name":"thread_sort_index","ph":"M","pid":{},"tid":{},"args":{{"sort_index":{}}}}})",
                 process_of(track), track, name, process_of(track), track, track);
}

}  // namespace tardigrad
