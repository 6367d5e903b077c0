#include "tools/live/run_metrics.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "runtime/base/json_text.h"

namespace tardigrad {

std::optional<double> RunValues::idle_share() const {
  if (summary) return summary->idle_share;
  if (worked_time <= 0) return std::nullopt;
  return std::clamp(1 - busy_time / worked_time, 0.0, 1.0);
}

std::optional<double> RunValues::discarded_share() const {
  if (summary) return summary->discarded_share;
  if (busy_time <= 0) return std::nullopt;
  return discarded_time / busy_time;
}

RunMetrics::RunMetrics(const std::string& run_json) {
  const nlohmann::json run = parse_json(run_json);
  const nlohmann::json workers = run.is_object() ? run.value("workers", nlohmann::json()) : nlohmann::json();
  if (!workers.is_number_integer() || workers.get<std::int64_t>() < 1) {
    throw std::invalid_argument("a run record: \"workers\": expected their number");
  }
  values_.workers = workers.get<int>();
  values_.latest_sign = RunValues::SteadyClock::now();
  worked_until_.resize(static_cast<std::size_t>(values_.workers));
  lost_.resize(worked_until_.size());
  values_.warnings.resize(static_cast<std::size_t>(Warning::Kind::log_gap) + 1);
}

void RunMetrics::give_sign() {
  const auto now = RunValues::SteadyClock::now();
  values_.longest_pause = std::max(values_.longest_pause, now - values_.latest_sign);
  values_.latest_sign = now;
}

void RunMetrics::note_job(const JobRecord& job) {
  give_sign();
  values_.time = std::max(values_.time, job.time);
  auto& until = worked_until_.at(static_cast<std::size_t>(job.worker));
  values_.worked_time += job.time - until.value_or(job.time - job.compute_time);
  values_.busy_time += job.compute_time;
  until = job.time;
}

void RunMetrics::on_gradient(const GradientRecord& record) {
  note_job(record.job);
  values_.latest_arrival = values_.latest_sign;
  values_.gradients = record.gradients;
  values_.staleness.add(record.staleness);
  values_.staleness_sum += static_cast<double>(record.staleness);
}

void RunMetrics::on_update(const UpdateRecord& record) {
  constexpr double weight = 0.02;  // as Progress has it
  values_.updates = record.update;
  values_.time = std::max(values_.time, record.time);
  values_.lr = record.lr;
  const auto loss = static_cast<double>(record.loss);
  values_.minibatch_loss =
      values_.minibatch_loss ? (1 - weight) * *values_.minibatch_loss + weight * loss : loss;
}

void RunMetrics::on_discard(const JobRecord& record) {
  note_job(record);
  ++values_.discarded_jobs;
  values_.discarded_time += record.compute_time;
}

void RunMetrics::on_evaluation(const EvaluationRecord& record) {
  give_sign();
  ++values_.evaluations;
  values_.evaluation = record;
  values_.time = std::max(values_.time, record.time);
  values_.updates = std::max(values_.updates, record.update);  // of a run that goes on from a checkpoint
  values_.gradients = std::max(values_.gradients, record.gradients);
}

void RunMetrics::on_warning(const Warning& warning) {
  const auto kind = static_cast<std::size_t>(warning.kind);
  if (kind >= values_.warnings.size()) values_.warnings.resize(kind + 1);
  ++values_.warnings[kind];
}

void RunMetrics::on_worker_change(const WorkerChange& change) {
  give_sign();
  const auto worker = static_cast<std::size_t>(change.worker);
  ++(change.lost ? values_.worker_failures : values_.worker_returns);
  if (lost_.at(worker) == change.lost) return;
  lost_[worker] = change.lost;
  values_.lost_workers += change.lost ? 1 : -1;
  if (!change.lost) worked_until_[worker] = change.time;  // what it was away for is not idleness
}

void RunMetrics::on_summary(const RunSummary& summary) {
  values_.summary = summary;
  values_.updates = summary.updates;
  values_.gradients = summary.gradients;
  values_.time = summary.time;
}

}  // namespace tardigrad
