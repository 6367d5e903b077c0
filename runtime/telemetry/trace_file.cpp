#include "runtime/telemetry/trace_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <string_view>

namespace tardigrad {
namespace {

constexpr std::size_t event_block_bytes = 1 << 16;  // written at once
constexpr std::string_view array_begin = "[\n";
constexpr std::string_view array_end = "\n]\n";

double time_of(const GradientRecord& record) { return record.job.time; }
double time_of(const UpdateRecord& record) { return record.time; }
double time_of(const JobRecord& record) { return record.time; }
double time_of(const EvaluationRecord& record) { return record.time; }

void count(const GradientRecord&, TraceEvents::LeftOut& left_out) { ++left_out.gradients; }
void count(const UpdateRecord&, TraceEvents::LeftOut& left_out) { ++left_out.updates; }
void count(const JobRecord&, TraceEvents::LeftOut& left_out) { ++left_out.discarded; }
void count(const EvaluationRecord&, TraceEvents::LeftOut&) {}

bool anything(const TraceEvents::LeftOut& left_out) {
  return left_out.gradients + left_out.updates + left_out.discarded > 0;
}

}  // namespace

TraceFile::TraceFile(const std::filesystem::path& path, const std::string& run_json,
                     std::uint64_t limit_bytes)
    : file_(std::make_unique<OutputFile>("--trace", path)),
      limit_bytes_(std::max(limit_bytes, smallest_limit_bytes)),
      events_(run_json) {
  file_->write(array_begin, true);
  written_bytes_ += array_begin.size();
  write_events();
}

TraceFile::~TraceFile() {
  try {
    finish();                        // a run that failed
  } catch (const std::exception&) {  // without its end it can be read as well
  }
}

void TraceFile::on_gradient(const GradientRecord& record) { add(record); }
void TraceFile::on_update(const UpdateRecord& record) { add(record); }
void TraceFile::on_discard(const JobRecord& record) { add(record); }

void TraceFile::on_evaluation(const EvaluationRecord& record) {
  add(record);
  if (file_) write_events();
}

template <typename T>
void TraceFile::add(const T& record) {
  if (most_kept_ > 0) return keep(record);
  events_.add(record);
  ++records_;
  beginning_until_ = time_of(record);
  const std::uint64_t bytes = written_bytes_ + events_.text().size();
  if (bytes >= limit_bytes_ / 2) {
    // About as many as will fit; finish() sees to it that they do.
    most_kept_ = 1 + records_ * (limit_bytes_ - std::min(bytes, limit_bytes_)) / bytes;
  }
  if (most_kept_ > 0 || events_.text().size() >= event_block_bytes) write_events();
}

void TraceFile::keep(const Record& record) {
  if (kept_.size() == most_kept_) drop_oldest();
  kept_.push_back(record);
}

/// An update goes with its gradient.
void TraceFile::drop_oldest() {
  do {
    std::visit([this](const auto& record) { count(record, left_out_); }, kept_.front());
    kept_.pop_front();
  } while (!kept_.empty() && std::holds_alternative<UpdateRecord>(kept_.front()));
  if (!kept_.empty()) {
    left_out_.until = std::visit([](const auto& record) { return time_of(record); }, kept_.front());
  }
}

TraceEvents TraceFile::events_with_kept() const {
  TraceEvents events = events_;
  if (anything(left_out_)) events.add(left_out_);
  for (const Record& kept : kept_) std::visit([&](const auto& record) { events.add(record); }, kept);
  return events;
}

/// Drops as many of the oldest records kept as it takes to get below the limit.
void TraceFile::finish() {
  if (!file_) return;
  write_events();
  const std::uint64_t room_bytes = limit_bytes_ - std::min(limit_bytes_, written_bytes_ + array_end.size());
  TraceEvents events = events_with_kept();
  while (events.text().size() > room_bytes && !kept_.empty()) {
    const std::size_t bytes = events.text().size();
    const std::size_t too_many = 1 + kept_.size() * (bytes - room_bytes) / bytes;
    const std::size_t remain = kept_.size() - std::min(too_many, kept_.size());
    while (kept_.size() > remain) drop_oldest();
    events = events_with_kept();
  }
  file_->write(events.text(), true);
  file_->write(array_end, true);
  file_.reset();
}

/// Their text begins with a comma, so that it can be missing.
void TraceFile::write_events() {
  file_->write(events_.text());
  written_bytes_ += events_.text().size();
  events_.clear_text();
  file_->flush();
}

std::string TraceFile::note() const {
  if (!anything(left_out_)) return "";
  return fmt::format(
      "holds the beginning, until time {:.6g}, and the end, from {:.6g} on: {} gradients between them are "
      "left out; a larger --trace-size holds more",
      beginning_until_, left_out_.until, left_out_.gradients);
}

}  // namespace tardigrad
