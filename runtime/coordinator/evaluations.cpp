#include "runtime/coordinator/evaluations.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "runtime/checkpoint/checkpoint_folder.h"
#include "runtime/coordinator/run_errors.h"
#include "runtime/device/start_times.h"
#include "runtime/objective/smoothness.h"

namespace tardigrad {
namespace {

constexpr std::size_t most_classes = 1 << 16;

constexpr const char* evaluated_name = "evaluated";
constexpr const char* kept_name = "kept";

/// Empty, which is no model, where it cannot be read.
std::vector<float> model_of(const std::filesystem::path& checkpoint, const ParameterLayout& layout) try {
  std::vector<float> model(layout.dimension());
  Checkpoint::read(checkpoint).read_model(layout, model);
  return model;
} catch (const std::exception&) {
  return {};
}

void visit_record(EvaluationRecord& record, StateArchive& state) {
  state.number("update", record.update, std::uint64_t{0}, StateArchive::any);
  state.number("gradients", record.gradients, std::uint64_t{0}, StateArchive::any);
  state.real("time", record.time);
  state.real("train_time_s", record.train_time_s);
  state.real("loss", record.evaluation.loss);
  state.real("accuracy", record.evaluation.accuracy);
  state.reals("class_accuracy", record.evaluation.class_accuracy, most_classes);
  state.real("objective", record.evaluation.objective);
  state.real("gradient_norm_sq", record.evaluation.gradient_norm_sq);
  state.real("train_loss", record.train_loss);
  state.real("smoothness", record.smoothness);
}

}  // namespace

void Evaluations::plan_first() {
  if (options_.evaluate_every_time && next_time_ == EventSource::never) {
    next_time_ = *options_.evaluate_every_time;
  }
}

void Evaluations::plan_on(double now) {
  if (!options_.evaluate_every_time) {
    next_time_ = EventSource::never;
  } else if (next_time_ == EventSource::never) {
    next_time_ = now + *options_.evaluate_every_time;
  }
}

bool Evaluations::due(const RunPosition& position) const {
  return position.time >= next_time_ || updates_left(position) == 0;
}

std::uint64_t Evaluations::updates_left(const RunPosition& position) const {
  if (!options_.evaluate_every_updates) return std::numeric_limits<std::uint64_t>::max();
  const std::uint64_t due_at = latest().update + *options_.evaluate_every_updates;
  return due_at - std::min(due_at, position.updates);
}

EvaluationRecord Evaluations::evaluate(std::span<const float> model, const RunPosition& position,
                                       const std::function<void()>& look_at_table,
                                       const BreakOff& break_off) const {
  EvaluationRecord record;
  record.update = position.updates;
  record.gradients = position.gradients;
  record.time = position.time;
  const StartPart part("evaluation");
  record.evaluation = objective_.evaluate(model, break_off);
  if (!std::isfinite(record.evaluation.loss)) {
    throw NumberNotFinite(
        fmt::format("the loss of the model of update {} is {}", record.update, record.evaluation.loss),
        record.update, record.time);
  }
  look_at_table();
  if (options_.estimate_smoothness && !latest_) {
    record.smoothness = estimate_smoothness(objective_, model, break_off);
  }
  evaluate_objective(model, break_off, record.evaluation);
  return record;
}

/// Adds what is asked for of f itself.
void Evaluations::evaluate_objective(std::span<const float> model, const BreakOff& break_off,
                                     Evaluation& evaluation) const {
  if (!options_.evaluate_objective && !options_.evaluate_gradient) return;
  std::vector<double> gradient(options_.evaluate_gradient ? model.size() : 0);
  evaluation.objective = objective_.full_gradient(model, gradient, break_off);
  if (!options_.evaluate_gradient) return;
  evaluation.gradient_norm_sq = std::inner_product(gradient.begin(), gradient.end(), gradient.begin(), 0.0);
}

void Evaluations::accept(const EvaluationRecord& record, std::vector<float> model) {
  model_ = std::move(model);
  kept_model_.clear();
  kept_version_ = record.update;
  latest_ = record;
}

void Evaluations::plan_next(double time) {
  if (time < next_time_) return;
  const double period = *options_.evaluate_every_time;
  next_time_ = (std::floor(time / period) + 1) * period;
  if (next_time_ <= time) next_time_ += period;  // where the division rounds down
}

void Evaluations::keep(ParameterServer& server, std::uint64_t version) {
  std::vector<float> model(model_.size());
  server.read_model(model);
  kept_model_ = std::move(model);
  kept_version_ = version;
}

std::uint64_t Evaluations::newest_on_host(std::span<float> model) const {
  if (!latest_) return 0;
  const bool kept = !kept_model_.empty() && kept_version_ > latest_->update;
  std::ranges::copy(kept ? kept_model_ : model_, model.begin());
  return kept ? kept_version_ : latest_->update;
}

/// As far as is known: where the evaluation is broken off, the model of the one before is known better.
bool Evaluations::has_finite_loss(std::span<const float> model, const BreakOff& break_off) const {
  try {
    return std::isfinite(objective_.evaluate(model, break_off).loss);
  } catch (const BrokenOff&) {
    return false;
  }
}

std::optional<std::uint64_t> Evaluations::go_back_before(std::uint64_t version,
                                                         std::span<const std::filesystem::path> checkpoints,
                                                         const BreakOff& break_off) {
  std::optional<std::uint64_t> newest;
  if (latest_) newest = latest_->update;
  const auto is_newer = [&](std::uint64_t update) {
    return update < version && (!newest || update > *newest);
  };
  const auto offer = [&](std::uint64_t update, const std::vector<float>& model) {
    if (model.empty() || !is_newer(update) || !is_finite(model) || !has_finite_loss(model, break_off)) return;
    model_ = model;
    newest = update;
  };
  offer(kept_version_, kept_model_);
  for (const std::filesystem::path& path : checkpoints) {
    const auto update = CheckpointFolder::update_of(path.filename());
    if (update && is_newer(*update)) offer(*update, model_of(path, objective_.layout()));
  }
  return newest;
}

void Evaluations::visit_state(StateArchive& state) {
  state.real("next_evaluation_time", next_time_);
  state.number("kept_version", kept_version_, std::uint64_t{0}, StateArchive::any);
  state.object("evaluation", [this](StateArchive& inner) {
    EvaluationRecord record = latest_.value_or(EvaluationRecord{});
    visit_record(record, inner);
    latest_ = record;
  });
}

void Evaluations::save(Snapshot& snapshot) const {
  snapshot.save(model_, snapshot.add(evaluated_name));
  if (!kept_model_.empty()) snapshot.save(kept_model_, snapshot.add(kept_name));
}

void Evaluations::restore(VectorFile& vectors, const std::vector<float>& newest, std::uint64_t version) {
  vectors.read(evaluated_name, 0, model_);
  if (vectors.has(kept_name, ElementType::f32, 1)) {
    kept_model_.resize(newest.size());
    vectors.read(kept_name, 0, kept_model_);
  }
  if (!is_finite(newest)) return;
  kept_model_ = newest;  // which is newer
  kept_version_ = version;
}

}  // namespace tardigrad
