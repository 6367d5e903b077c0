#include "runtime/telemetry/run_log.h"

#include <fmt/format.h>

#include <iterator>
#include <nlohmann/json.hpp>

#include "runtime/base/json_text.h"
#include "runtime/base/output_path.h"
#include "runtime/base/trouble.h"
#include "runtime/telemetry/log_parts.h"

namespace tardigrad {
namespace {

using Json = nlohmann::ordered_json;

/// [[value, count], …], values as the histogram keeps them.
Json to_json(const Histogram& histogram) {
  Json counts = Json::array();
  histogram.for_each([&](std::uint64_t value, std::uint64_t count) { counts.push_back({value, count}); });
  return counts;
}

/// A list; null where there is no accuracy.
Json class_accuracy_of(const Evaluation& evaluation) {
  if (evaluation.class_accuracy.empty()) return nullptr;
  Json list = Json::array();
  for (const auto& accuracy : evaluation.class_accuracy) list.push_back(or_null(accuracy));
  return list;
}

/// Texts may come from anywhere.
std::string to_line(const Json& record) { return json_text_of_any_bytes(record); }

LogBeginning beginning_of(const std::filesystem::path& path, const std::string& run_json, int files,
                          const std::optional<CheckpointRecord>& after) {
  if (!after) return {};
  LogBeginning beginning;
  if (is_stream(path)) {
    beginning.complaint = "is a stream";
  } else {
    beginning = cut_log("--log", path, files, run_json, *after);
  }
  if (beginning.complaint) {
    Trouble("--log " + path.string())
        .tell(fmt::format(
            "{}; begins anew, {}", *beginning.complaint,
            beginning.lasting.empty() ? "with nothing of before" : "with the evaluations until then"));
  }
  return beginning;
}

// The frequent records are formatted directly; fmt writes the shortest text that reads back to the same
// number.

/// The times are left out where they are 0, as in virtual time.
std::string describe_times(const GradientRecord& gradient) {
  std::string text;
  const auto add = [&text](const char* name, double time) {
    if (time != 0) fmt::format_to(std::back_inserter(text), R"(,"{}":{})", name, time);
  };
  add("hand_over_time", gradient.hand_over_time);
  add("queue_time", gradient.queue_time);
  return text;
}

}  // namespace

RunLog::RunLog(const std::filesystem::path& path, const std::string& run_json, LogDetail detail,
               LogRotation rotation, const std::optional<CheckpointRecord>& after, OutputFile::Limits limits)
    : file_("--log", path, run_json, rotation, limits, beginning_of(path, run_json, rotation.files, after)),
      detail_(detail) {}

void RunLog::on_gradient(const GradientRecord& record) {
  if (detail_ != LogDetail::jobs) return;
  if (record.update != 0) {
    made_by_ = record;
    return;
  }
  const JobRecord& job = record.job;
  file_.write(fmt::format(
      R"({{"event":"gradient","time":{},"worker":{},"staleness":{},"gradients":{},"loss":{},"job":{},"version":{},"compute_time":{}{}}})",
      job.time, job.worker, record.staleness, record.gradients, record.loss, job.job, job.version,
      job.compute_time, describe_times(record)));
}

void RunLog::on_update(const UpdateRecord& record) {
  if (detail_ == LogDetail::evaluations) return;
  std::string line = fmt::format(
      R"({{"event":"update","update":{},"time":{},"worker":{},"staleness":{},"lr":{},"gradients":{},"loss":{})",
      record.update, record.time, record.worker, record.staleness, record.lr, record.gradients, record.loss);
  if (detail_ == LogDetail::jobs && made_by_.update == record.update) {
    fmt::format_to(std::back_inserter(line), R"(,"job":{},"version":{},"compute_time":{}{})",
                   made_by_.job.job, made_by_.job.version, made_by_.job.compute_time,
                   describe_times(made_by_));
  }
  file_.write(line += '}');
}

void RunLog::on_discard(const JobRecord& record) {
  if (detail_ != LogDetail::jobs) return;
  file_.write(
      fmt::format(R"({{"event":"discard","time":{},"worker":{},"job":{},"version":{},"compute_time":{}}})",
                  record.time, record.worker, record.job, record.version, record.compute_time));
}

void RunLog::on_evaluation(const EvaluationRecord& record) {
  file_.write_lasting(to_line({{"event", "eval"},
                               {"update", record.update},
                               {"time", record.time},
                               {"train_time_s", record.train_time_s},
                               {"gradients", record.gradients},
                               {"loss", record.evaluation.loss},
                               {"accuracy", or_null(record.evaluation.accuracy)},
                               {"class_accuracy", class_accuracy_of(record.evaluation)},
                               {"objective", or_null(record.evaluation.objective)},
                               {"gradient_norm_sq", or_null(record.evaluation.gradient_norm_sq)},
                               {"train_loss", or_null(record.train_loss)},
                               {"smoothness", or_null(record.smoothness)}}));
}

void RunLog::on_warning(const Warning& warning) {
  file_.write_lasting(to_line({{"event", "warning"},
                               {"kind", to_string(warning.kind)},
                               {"update", warning.update},
                               {"time", warning.time},
                               {"text", warning.text}}));
}

void RunLog::on_worker_change(const WorkerChange& change) {
  file_.write_lasting(to_line({{"event", change.lost ? "worker-lost" : "worker-back"},
                               {"worker", change.worker},
                               {"update", change.update},
                               {"time", change.time},
                               {"reason", change.reason}}));
}

/// Goes to the file at once: a run that goes on from the checkpoint looks for it.
void RunLog::on_checkpoint(const CheckpointRecord& record) {
  file_.write_that_matters(checkpoint_line(record));
  file_.begin_sync();
}

void RunLog::on_summary(const RunSummary& summary) {
  for (const WorkerRecord& worker : summary.workers) {
    file_.write_that_matters(to_line({{"event", "worker"},
                                      {"worker", worker.worker},
                                      {"device", worker.device},
                                      {"jobs", worker.jobs},
                                      {"mean_compute_time", worker.mean_compute_time},
                                      {"busy_share", worker.busy_share},
                                      {"discarded_jobs", worker.discarded_jobs},
                                      {"discarded_share", worker.discarded_share},
                                      {"mean_hand_over_time", worker.mean_hand_over_time},
                                      {"mean_queue_time", worker.mean_queue_time},
                                      {"staleness_median", worker.staleness.median()},
                                      {"staleness_max", worker.staleness.max()},
                                      {"staleness_counts", to_json(worker.staleness)}}));
  }
  file_.write_that_matters(to_line({{"event", "summary"},
                                    {"updates", summary.updates},
                                    {"gradients", summary.gradients},
                                    {"time", summary.time},
                                    {"train_time_s", summary.train_time_s},
                                    {"evaluated_update", summary.evaluated_update},
                                    {"final_loss", summary.final_evaluation.loss},
                                    {"final_accuracy", or_null(summary.final_evaluation.accuracy)},
                                    {"train_loss", or_null(summary.train_loss)},
                                    {"staleness_max", summary.staleness_max},
                                    {"idle_share", summary.idle_share},
                                    {"discarded_share", summary.discarded_share},
                                    {"largest_drift", or_null(summary.largest_drift)},
                                    {"stop_reason", to_string(summary.stop_reason)}}));
  file_.flush();
}

}  // namespace tardigrad
