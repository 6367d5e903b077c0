#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "runtime/telemetry/rotating_json_lines.h"
#include "runtime/telemetry/telemetry.h"

namespace tardigrad {

/// Says what a log holds besides the records of the run, its evaluations, its workers and its end.
enum class LogDetail {
  evaluations,  ///< nothing
  updates,      ///< a record an update
  jobs,         ///< the end of every job, with its times: what reports draw workers from
};

/// Writes the file of `--log`: one JSON object a line. First stands a `run` record with the configuration,
/// then, as they happen, `eval` and `warning` records, `update` records, which hold the job that made the
/// update, and `gradient` and `discard` records of the other jobs; at the end a `worker` record each and
/// `summary`. `time` is the run's own clock, `…_s` are seconds. In between stand `worker-lost` and
/// `worker-back`, `checkpoint`, and `gap` where lines could not be written (JsonLines). RunLogReader reads
/// it. When the file is full the log goes on in a new one, which begins with the run record and the
/// evaluations so far.
class RunLog final : public RunObserver {
 public:
  /// Begins a log. `run_json` is an object with the members of the run record. Throws std::invalid_argument
  /// naming the path if it cannot be opened, or as RotatingJsonLines says.
  ///
  /// With `after` the run goes on from that checkpoint, and so does its log: what stands behind the
  /// checkpoint's line is removed. Where the line is not found, the log begins anew, with the evaluations up
  /// to there that are left, and says so on stderr.
  RunLog(const std::filesystem::path& path, const std::string& run_json, LogDetail detail,
         LogRotation rotation = {}, const std::optional<CheckpointRecord>& after = {},
         OutputFile::Limits limits = {});

  void on_gradient(const GradientRecord& record) override;
  void on_update(const UpdateRecord& record) override;
  void on_discard(const JobRecord& record) override;
  void on_evaluation(const EvaluationRecord& record) override;
  void on_warning(const Warning& warning) override;
  void on_worker_change(const WorkerChange& change) override;
  void on_checkpoint(const CheckpointRecord& record) override;
  void on_summary(const RunSummary& summary) override;

 private:
  RotatingJsonLines file_;
  LogDetail detail_;
  GradientRecord made_by_;  // the next update
};

}  // namespace tardigrad
