#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <memory>
#include <string>
#include <variant>

#include "runtime/base/output_file.h"
#include "runtime/telemetry/telemetry.h"
#include "runtime/telemetry/trace_events.h"

namespace tardigrad {

/// Writes the file of `--trace`: what TraceEvents makes of a run, for chrome://tracing and ui.perfetto.dev.
/// It is a JSON array, which both of them read without its end, too, as a run that was killed leaves it.
///
/// Its size is bounded: the first half of the limit holds the beginning of the run and is written as it
/// happens. Of what does not fit there the newest is kept, in no more memory than a few times the limit, and
/// written at the end; a slice "left out" stands between them. Trouble with the file is that of OutputFile:
/// events that could not be written for too long are missing.
class TraceFile final : public RunObserver {
 public:
  /// Is the least limit: much less would hold nothing but arrows of one update.
  static constexpr std::uint64_t smallest_limit_bytes = std::uint64_t{1} << 20;

  /// Begins a file. `run_json` is as TraceEvents wants it. Throws std::invalid_argument naming the path if it
  /// cannot be opened.
  TraceFile(const std::filesystem::path& path, const std::string& run_json, std::uint64_t limit_bytes);
  ~TraceFile() override;

  void on_gradient(const GradientRecord& record) override;
  void on_update(const UpdateRecord& record) override;
  void on_discard(const JobRecord& record) override;
  void on_evaluation(const EvaluationRecord& record) override;
  void on_summary(const RunSummary&) override { finish(); }

  /// Returns, after the run, what is missing of it, for people. The text is empty if nothing is.
  std::string note() const;

 private:
  using Record = std::variant<GradientRecord, UpdateRecord, JobRecord, EvaluationRecord>;

  template <typename T>
  void add(const T& record);
  void keep(const Record& record);
  void drop_oldest();
  TraceEvents events_with_kept() const;
  void write_events();
  void finish();

  std::unique_ptr<OutputFile> file_;  // until the end is written
  std::uint64_t limit_bytes_;
  std::uint64_t written_bytes_ = 0;
  TraceEvents events_;
  std::uint64_t records_ = 0;  // in events_
  std::deque<Record> kept_;    // the newest
  std::size_t most_kept_ = 0;  // 0 while everything goes to the file
  double beginning_until_ = 0;
  TraceEvents::LeftOut left_out_;
};

}  // namespace tardigrad
