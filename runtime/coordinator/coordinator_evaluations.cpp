// What the coordinator looks at of what was computed: losses, models, the table; and the end of a run.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "runtime/coordinator/coordinator.h"
#include "runtime/device/profiler_range.h"
#include "runtime/objective/smoothness.h"

namespace tardigrad {
namespace {

/// Adds what is asked for of f itself.
void evaluate_training(Objective& objective, std::span<const float> model, const RunOptions& options,
                       const BreakOff& break_off, Evaluation& evaluation) {
  if (!options.evaluate_objective && !options.evaluate_gradient) return;
  std::vector<double> gradient(options.evaluate_gradient ? model.size() : 0);
  evaluation.objective = objective.full_gradient(model, gradient, break_off);
  if (!options.evaluate_gradient) return;
  evaluation.gradient_norm_sq = std::inner_product(gradient.begin(), gradient.end(), gradient.begin(), 0.0);
}

/// Empty, which is no model, where it cannot be read.
std::vector<float> model_of(const std::filesystem::path& checkpoint, const ParameterLayout& layout) try {
  std::vector<float> model(layout.dimension());
  Checkpoint::read(checkpoint).read_model(layout, model);
  return model;
} catch (const std::exception&) {
  return {};
}

}  // namespace

/// Looks at the loss of the oldest arrival, and passes its record on.
void Coordinator::settle_oldest() {
  Pending pending = pending_.pop();
  const float loss = executor_->collect();
  if (!std::isfinite(loss)) {
    const JobRecord& job = pending.gradient.job;
    end_not_finite(fmt::format("the loss of job {} of worker {} is {}, at the model of update {}", job.job,
                               job.worker, loss, job.version),
                   job.version, job.time);
  }
  latest_loss_ = loss;
  loss_sum_ += static_cast<double>(loss);
  ++loss_count_;
  pending.gradient.loss = loss;
  if (pending.update) pending.update->loss = loss;
  for (RunObserver* observer : observers_) {
    observer->on_gradient(pending.gradient);
    if (pending.update) observer->on_update(*pending.update);
    for (const JobRecord& discarded : pending.discards) observer->on_discard(discarded);
  }
}

void Coordinator::settle_all() {
  while (!pending_.empty()) settle_oldest();
}

bool Coordinator::finished() {
  const auto reached = [this](bool condition, StopReason reason) {
    if (condition) stop_reason_ = reason;
    return condition;
  };
  const Evaluation& evaluation = latest_evaluation_->evaluation;
  return reached(options_.max_updates && version_ >= *options_.max_updates, StopReason::updates) ||
         reached(options_.max_gradients && gradients_ >= *options_.max_gradients, StopReason::gradients) ||
         reached(clock_->now() >= options_.time_limit, StopReason::time_limit) ||
         reached(options_.target_accuracy && evaluation.accuracy &&
                     *evaluation.accuracy >= *options_.target_accuracy,
                 StopReason::target_accuracy) ||
         reached(options_.target_loss && evaluation.loss <= *options_.target_loss, StopReason::target_loss) ||
         reached(options_.target_gradient_norm_sq && evaluation.gradient_norm_sq &&
                     *evaluation.gradient_norm_sq <= *options_.target_gradient_norm_sq,
                 StopReason::target_gradient_norm_sq) ||
         reached(clock_->at_end(), StopReason::recording_ended);
}

void Coordinator::evaluate_if_due() {
  const bool by_updates = options_.evaluate_every_updates &&
                          version_ >= latest_evaluation_->update + *options_.evaluate_every_updates;
  const bool by_time = clock_->now() >= next_evaluation_time_;
  if (!by_updates && !by_time) return;
  double next_time = next_evaluation_time_;
  if (by_time) {
    const double period = *options_.evaluate_every_time;
    next_time = (std::floor(clock_->now() / period) + 1) * period;
    if (next_time <= clock_->now()) next_time += period;  // where the division rounds down
  }
  if (evaluate()) next_evaluation_time_ = next_time;
}

/// Training's clocks stand still meanwhile. False if it was broken off, and nothing came of it.
bool Coordinator::evaluate() {
  const ProfilerRange range("evaluate");
  const bool was_training = stopwatch_.running();
  stopwatch_.pause();
  settle_all();
  std::vector<float> model(host_model_.size());
  executor_->read_model(model);
  try {
    const EvaluationRecord record = evaluation_of(model);
    host_model_ = std::move(model);
    kept_model_.clear();
    kept_version_ = version_;
    loss_sum_ = 0;
    loss_count_ = 0;
    latest_evaluation_ = record;
    for (RunObserver* observer : observers_) observer->on_evaluation(record);
  } catch (const BrokenOff&) {
    return false;
  }
  if (was_training) stopwatch_.resume();
  return true;
}

/// Of the newest model, which is given. Throws BrokenOff.
EvaluationRecord Coordinator::evaluation_of(std::span<const float> model) {
  EvaluationRecord record{
      version_,     clock_->now(), stopwatch_.elapsed_s(), gradients_, objective_.evaluate(model, break_off_),
      std::nullopt, std::nullopt};
  if (!std::isfinite(record.evaluation.loss)) {
    end_not_finite(fmt::format("the loss of the model of update {} is {}", version_, record.evaluation.loss),
                   version_, record.time);
  }
  check_table();
  if (options_.estimate_smoothness && !latest_evaluation_) {
    record.smoothness = estimate_smoothness(objective_, model, break_off_);
  }
  evaluate_training(objective_, model, options_, break_off_, record.evaluation);
  if (loss_count_ > 0) record.train_loss = loss_sum_ / static_cast<double>(loss_count_);
  return record;
}

/// A copy now and then costs little, and spares a run that diverges between evaluations to lose all since.
void Coordinator::keep_model_if_due() {
  if (version_ < kept_version_ + options_.keep_model_every) return;
  settle_all();
  std::vector<float> model(host_model_.size());
  executor_->read_model(model);
  kept_model_ = std::move(model);
  kept_version_ = version_;
}

void Coordinator::check_table_if_due() {
  if (!options_.verified || !options_.verified->table_check_due()) return;
  settle_all();
  check_table();
}

/// Every arrival has been collected.
void Coordinator::check_table() {
  if (!options_.verified) return;
  const auto read = [this](const VectorVisitor& mean, const VectorVisitor& row) {
    executor_->read_mean_and_rows(mean, row);
  };
  if (options_.verified->check_table(read)) return;
  end_not_finite(fmt::format("a gradient in the table at update {} is not finite", version_), version_,
                 clock_->now());
}

/// As far as is known: where the evaluation is broken off, the model of the one before is known better.
bool Coordinator::has_finite_loss(std::span<const float> model) {
  try {
    return std::isfinite(objective_.evaluate(model, break_off_).loss);
  } catch (const BrokenOff&) {
    return false;
  }
}

/// Leaves in `host_model_` the newest model that is older than `version`, whose loss was not finite, and
/// finite itself: the latest evaluated, one kept since, or that of a checkpoint. Returns its update.
std::optional<std::uint64_t> Coordinator::go_back_before(std::uint64_t version) {
  std::optional<std::uint64_t> newest;
  if (latest_evaluation_) newest = latest_evaluation_->update;
  const auto is_newer = [&](std::uint64_t update) {
    return update < version && (!newest || update > *newest);
  };
  const auto offer = [&](std::uint64_t update, const std::vector<float>& model) {
    if (model.empty() || !is_newer(update) || !is_finite(model) || !has_finite_loss(model)) return;
    host_model_ = model;
    newest = update;
  };
  offer(kept_version_, kept_model_);
  if (!checkpoints_) return newest;
  for (const std::filesystem::path& path : checkpoints_->newest_first()) {
    const auto update = CheckpointFolder::update_of(path.filename());
    if (update && is_newer(*update)) offer(*update, model_of(path, objective_.layout()));
  }
  return newest;
}

/// Tells the observers, and leaves the newest model whose losses were finite in `host_model_`; `version` is
/// that of a model whose loss was not.
void Coordinator::end_not_finite(const std::string& what, std::uint64_t version, double time) {
  const std::optional<std::uint64_t> finite = go_back_before(version);
  std::string text = fmt::format("{}: a smaller --lr (now {}) may help", what, options_.lr);
  if (finite) text += fmt::format("; the last finite model is that of update {}", *finite);
  const Warning warning{Warning::Kind::not_finite, version, time, text};
  for (RunObserver* observer : observers_) observer->on_warning(warning);
  throw NotFiniteError(text, finite);
}

RunSummary Coordinator::summarise() const {
  RunSummary summary;
  summary.updates = version_;
  summary.gradients = gradients_;
  summary.time = clock_->now();
  summary.train_time_s = stopwatch_.elapsed_s();
  summary.final_evaluation = latest_evaluation_->evaluation;
  summary.evaluated_update = latest_evaluation_->update;
  summary.train_loss = latest_evaluation_->train_loss;
  summary.largest_drift = executor_->largest_drift();
  summary.stop_reason = stop_reason_;
  double busy_shares = 0;
  double discarded_shares = 0;
  for (int worker = 0; worker < objective_.workers(); ++worker) {
    const WorkerRecord& record = summary.workers.emplace_back(summarise_worker(worker));
    summary.staleness_max = std::max(summary.staleness_max, record.staleness.max());
    busy_shares += record.busy_share;
    discarded_shares += record.busy_share * record.discarded_share;
  }
  summary.idle_share = 1 - busy_shares / objective_.workers();
  if (busy_shares > 0) summary.discarded_share = discarded_shares / busy_shares;
  return summary;
}

WorkerRecord Coordinator::summarise_worker(int index) const {
  const WorkerState& worker = states_[static_cast<std::size_t>(index)];
  WorkerRecord record;
  record.worker = index;
  record.device = executor_->device(index).name();
  record.jobs = worker.staleness.total();
  if (record.jobs > 0) {
    const auto jobs = static_cast<double>(record.jobs);
    record.mean_compute_time = (worker.busy_time - worker.discarded_time) / jobs;
    record.mean_hand_over_time = worker.hand_over_time / jobs;
    record.mean_queue_time = worker.queue_time / jobs;
  }
  const double now = clock_->now();
  const double busy = worker.busy_time + (worker.computing ? now - worker.started_at : 0);
  if (now > 0) record.busy_share = std::min(1.0, busy / now);
  record.discarded_jobs = worker.discarded_jobs;
  if (busy > 0) record.discarded_share = worker.discarded_time / busy;
  record.staleness = worker.staleness;
  return record;
}

}  // namespace tardigrad
