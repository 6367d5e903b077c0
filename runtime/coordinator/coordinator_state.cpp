// Kind a checkpoint holds of a run, and going on from it.

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

#include "runtime/coordinator/coordinator.h"
#include "runtime/device/profiler_range.h"

namespace tardigrad {
namespace {

constexpr std::uint64_t any = std::numeric_limits<std::uint64_t>::max();

/// Vectors that one call has saved, as many as an update moves in about the same time.
constexpr std::size_t vectors_at_once = 3;

constexpr std::size_t most_classes = 1 << 16;

constexpr int most_late_hand_overs = 1000;  // of a worker; there is one mostly

constexpr const char* evaluated_name = "evaluated";
constexpr const char* kept_name = "kept";

/// One number of each worker: state.numbers(…) of a member.
template <class Workers, class Column, class Visit>
void visit_column(Workers& workers, Column column, const Visit& visit) {
  using Value = std::remove_cvref_t<decltype(workers.front().*column)>;
  std::vector<Value> values;
  values.reserve(workers.size());
  for (const auto& worker : workers) values.push_back(worker.*column);
  visit(values);
  for (std::size_t i = 0; i < workers.size(); ++i) workers[i].*column = values[i];
}

/// [first of a bucket, count, …], behind the maximum.
std::vector<std::uint64_t> numbers_of(const Histogram& histogram) {
  std::vector<std::uint64_t> numbers{histogram.max()};
  histogram.for_each([&](std::uint64_t first, std::uint64_t count) {
    numbers.push_back(first);
    numbers.push_back(count);
  });
  return numbers;
}

std::optional<Histogram> histogram_of(const std::vector<std::uint64_t>& numbers) {
  constexpr std::uint64_t largest = std::uint64_t{1} << 48;  // keeps a forged one small
  Histogram histogram;
  if (numbers.size() % 2 == 0) return std::nullopt;
  for (std::size_t i = 1; i + 1 < numbers.size(); i += 2) {
    if (numbers[i] > largest) return std::nullopt;
    histogram.add(numbers[i], numbers[i + 1]);
  }
  histogram.note_max(numbers.front());
  return histogram;
}

/// Kind each of that many workers was handed over, in a checkpoint of another number of workers.
std::vector<std::uint64_t> handed_over_of(StateArchive& state, int workers) {
  std::vector<std::uint64_t> handed_over;
  state.object("of_workers", [&](StateArchive& columns) {
    columns.numbers("handed_over", handed_over, static_cast<std::size_t>(workers), std::uint64_t{0}, any);
  });
  return handed_over;
}

}  // namespace

void Coordinator::visit_state(StateArchive& state) {
  state.number("version", version_, std::uint64_t{0}, any);
  state.number("gradients", gradients_, std::uint64_t{0}, any);
  state.number("staleness_since_update", staleness_since_update_, std::uint64_t{0}, any);
  state.real("next_evaluation_time", next_evaluation_time_);
  state.number("kept_version", kept_version_, std::uint64_t{0}, any);
  state.real("loss_sum", loss_sum_);
  state.number("loss_count", loss_count_, std::uint64_t{0}, any);
  double elapsed_s = stopwatch_.elapsed_s();
  state.real("train_time_s", elapsed_s);
  auto latest_loss = static_cast<double>(latest_loss_);
  state.real("latest_loss", latest_loss);
  latest_loss_ = static_cast<float>(latest_loss);
  if (state.restoring()) stopwatch_.set_elapsed_s(elapsed_s);
  state.object("evaluation", [this](StateArchive& inner) { visit_evaluation(inner); });
}

/// Why workers are lost.
void Coordinator::visit_reasons(StateArchive& state) {
  std::vector<int> workers;
  std::vector<std::string> texts;
  for (const auto& [worker, reason] : reasons_) {
    workers.push_back(worker);
    texts.push_back(reason);
  }
  state.workers("workers", workers, objective_.workers());
  state.texts("texts", texts, workers.size());
  reasons_.clear();
  for (std::size_t i = 0; i < workers.size(); ++i) reasons_[workers[i]] = texts[i];
}

void Coordinator::visit_evaluation(StateArchive& state) {
  EvaluationRecord record = latest_evaluation_.value_or(EvaluationRecord{});
  state.number("update", record.update, std::uint64_t{0}, any);
  state.number("gradients", record.gradients, std::uint64_t{0}, any);
  state.real("time", record.time);
  state.real("train_time_s", record.train_time_s);
  state.real("loss", record.evaluation.loss);
  state.real("accuracy", record.evaluation.accuracy);
  state.reals("class_accuracy", record.evaluation.class_accuracy, most_classes);
  state.real("objective", record.evaluation.objective);
  state.real("gradient_norm_sq", record.evaluation.gradient_norm_sq);
  state.real("train_loss", record.train_loss);
  state.real("smoothness", record.smoothness);
  latest_evaluation_ = record;
}

void Coordinator::visit_workers(StateArchive& state) {
  const std::size_t count = states_.size();
  const auto whole = [&](const char* name, auto column, auto most) {
    visit_column(states_, column,
                 [&](auto& values) { state.numbers(name, values, count, decltype(most){0}, most); });
  };
  const auto real = [&](const char* name, double WorkerState::*column) {
    visit_column(states_, column, [&](auto& values) { state.reals(name, values, count); });
  };
  const auto flag = [&](const char* name, bool WorkerState::*column) {
    visit_column(states_, column, [&](auto& values) { state.flags(name, values, count); });
  };
  flag("computing", &WorkerState::computing);
  flag("discarding", &WorkerState::discarding);
  const auto absent = [&](const char* name, bool Absence::*why) {
    std::vector<bool> values;
    for (const WorkerState& worker : states_) values.push_back(worker.absence.*why);
    state.flags(name, values, count);
    for (std::size_t i = 0; i < count; ++i) states_[i].absence.*why = values[i];
  };
  absent("scripted", &Absence::scripted);
  absent("hung", &Absence::hung);
  absent("failed", &Absence::failed);
  whole("late_hand_overs", &WorkerState::late_hand_overs, most_late_hand_overs);
  whole("handed_over", &WorkerState::handed_over, any);
  real("started_at", &WorkerState::started_at);
  whole("started_job", &WorkerState::started_job, any);
  real("busy_time", &WorkerState::busy_time);
  real("discarded_time", &WorkerState::discarded_time);
  whole("discarded_jobs", &WorkerState::discarded_jobs, any);
  real("hand_over_time", &WorkerState::hand_over_time);
  real("queue_time", &WorkerState::queue_time);

  std::vector<std::vector<std::uint64_t>> jobs(count);
  std::vector<std::vector<std::uint64_t>> staleness;
  for (std::size_t i = 0; i < count; ++i) {
    states_[i].jobs.for_each([&](const Job& job) { jobs[i].push_back(job.version); });
    staleness.push_back(numbers_of(states_[i].staleness));
  }
  state.lists("jobs", jobs, count);
  state.lists("staleness", staleness, count);
  if (!state.restoring()) return;
  for (std::size_t i = 0; i < count; ++i) {
    WorkerState& worker = states_[i];
    if (jobs[i].size() > worker.handed_over) state.refuse("jobs", "no more of them than were handed over");
    std::uint64_t number = worker.handed_over - jobs[i].size();
    for (const std::uint64_t version : jobs[i]) worker.jobs.push({number++, version});
    const auto histogram = histogram_of(staleness[i]);
    if (!histogram) state.refuse("staleness", "a maximum, and pairs of value and count");
    worker.staleness = *histogram;
    if (worker.computing && worker.jobs.empty()) state.refuse("computing", "a job where a worker computes");
    if (worker.absence.any() && !worker.jobs.empty()) state.refuse("jobs", "none where a worker is lost");
    for (const std::uint64_t version : jobs[i]) {
      if (version > version_) state.refuse("jobs", "no version above the model's");
    }
  }
}

/// `models`: versions of the models that jobs start from, as the snapshot has them.
nlohmann::ordered_json Coordinator::state_json(std::vector<std::uint64_t> models) {
  StateArchive state;
  state.numbers("models", models, models.size(), std::uint64_t{0}, any);
  state.object("coordinator", [this](StateArchive& inner) {
    int workers = objective_.workers();
    inner.number("workers", workers, workers, workers);
    visit_state(inner);
    inner.object("of_workers", [this](StateArchive& columns) { visit_workers(columns); });
    inner.object("reasons", [this](StateArchive& reasons) { visit_reasons(reasons); });
  });
  state.object("method", [this](StateArchive& inner) { method_.visit_state(inner); });
  state.object("server", [this](StateArchive& inner) { executor_->visit_state(inner); });
  state.object("clock", [this](StateArchive& inner) { clock_->visit_state(inner, true); });
  state.object("observers", [this](StateArchive& inner) { visit_states(observers_, inner); });
  return state.json();
}

void Coordinator::resume(const Checkpoint& checkpoint) {
  StateArchive state(checkpoint.state, (checkpoint.path / "state.json").string());
  bool same_workers = true;
  state.object("coordinator", [&](StateArchive& inner) {
    int workers = 0;
    inner.number("workers", workers, 1, 1 << 20);
    same_workers = workers == objective_.workers();
    visit_state(inner);
    if (same_workers) {
      inner.object("of_workers", [this](StateArchive& columns) { visit_workers(columns); });
      if (inner.has("reasons")) {
        inner.object("reasons", [this](StateArchive& reasons) { visit_reasons(reasons); });
      }
      return;
    }
    const std::vector<std::uint64_t> handed_over = handed_over_of(inner, workers);
    for (std::size_t i = 0; i < std::min(handed_over.size(), states_.size()); ++i) {
      states_[i].handed_over = handed_over[i];
    }
  });
  state.object("clock", [&](StateArchive& inner) { clock_->visit_state(inner, same_workers); });
  std::vector<std::uint64_t> models;
  state.numbers("models", models, state.length("models"), std::uint64_t{0}, any);
  restore_vectors(checkpoint, models,
                  same_workers ? ParameterServer::Restored::all : ParameterServer::Restored::momentum_alone);
  restore_observers(state, checkpoint.path);
  if (same_workers) {
    method_.start(actions_);
    state.object("method", [this](StateArchive& inner) { method_.visit_state(inner); });
    state.object("server", [this](StateArchive& inner) { executor_->visit_state(inner); });
    go_on_with_jobs();
  } else {
    begin_with_other_workers();
  }
  if (!options_.evaluate_every_time) {
    next_evaluation_time_ = EventSource::never;
  } else if (next_evaluation_time_ == EventSource::never) {
    next_evaluation_time_ = clock_->now() + *options_.evaluate_every_time;
  }
  if (checkpoints_) checkpoints_->resumed(version_, gradients_);
  resumed_ = true;
}

/// Checkpoints of older programs hold nothing of them.
void Coordinator::restore_observers(StateArchive& state, const std::filesystem::path& checkpoint) {
  if (state.has("observers")) {
    state.object("observers", [this](StateArchive& inner) { visit_states(observers_, inner); });
  }
  const ResumeRecord record{
      checkpoint.string(),
      {CheckpointFolder::name(version_, gradients_), version_, gradients_, clock_->now()},
      *latest_evaluation_};
  for (RunObserver* observer : observers_) observer->on_resume(record);
}

/// But those that the script has out of the run by now.
void Coordinator::begin_with_other_workers() {
  const std::vector<int> lost = clock_->skip_changes();
  begin();
  for (const int worker : lost) take_out(worker, &Absence::scripted, clock_->now(), clock_->reason());
}

void Coordinator::restore_vectors(const Checkpoint& checkpoint, std::span<const std::uint64_t> models,
                                  ParameterServer::Restored what) {
  std::vector<float> model(host_model_.size());
  checkpoint.read_model(objective_.layout(), model);
  executor_->set_model(model);
  VectorFile vectors = checkpoint.vectors(model.size());
  vectors.read(evaluated_name, 0, host_model_);
  if (vectors.has(kept_name, ElementType::f32, 1)) {
    kept_model_.resize(model.size());
    vectors.read(kept_name, 0, kept_model_);
  }
  if (is_finite(model)) {  // which is newer
    kept_model_ = model;
    kept_version_ = version_;
  }
  std::vector<Executor::JobsOfWorker> jobs(states_.size());
  for (std::size_t i = 0; i < states_.size(); ++i) {
    jobs[i].handed_over = states_[i].handed_over;
    states_[i].jobs.for_each([&](const Job& job) { jobs[i].versions.push_back(job.version); });
  }
  executor_->restore(vectors, version_, jobs, models, what);
}

/// In virtual time the clock knows when they end. In wall time they begin again, those that were thrown away
/// are over, and workers that failed or hung are tried again.
void Coordinator::go_on_with_jobs() {
  for (int index = 0; index < objective_.workers(); ++index) {
    if (state(index).absence.any()) reasons_.emplace(index, "since before the checkpoint");
  }
  if (options_.clock == ClockKind::virtual_time) return require_ends();
  stopwatch_.resume();
  const double now = clock_->now();
  for (int index = 0; index < objective_.workers(); ++index) {
    WorkerState& worker = state(index);
    worker.computing = false;
    if (std::exchange(worker.discarding, false)) {
      for (RunObserver* observer : observers_) observer->on_discarded_over(index, now);
      hand_over_late(index, now);
    } else {
      start_if_waiting(index);
    }
    for (const auto why : {&Absence::hung, &Absence::failed})
      take_back(index, why, now, "the run goes on anew");
  }
  executor_->go_on();  // last, so that no job ends before the time it is said to have begun at
}

/// Kind the clock and the workers' states say of jobs must agree.
void Coordinator::require_ends() const {
  for (int index = 0; index < objective_.workers(); ++index) {
    if (states_[static_cast<std::size_t>(index)].computing == clock_->is_computing(index)) continue;
    throw std::invalid_argument(
        fmt::format("state.json: ends: expected one for each worker that computes, found worker {}", index));
  }
}

void Coordinator::checkpoint_if_due() {
  if (!checkpoints_) return;
  if (checkpoints_->in_progress()) {
    save_more();
  } else if (checkpoints_->due(version_) && executor_->at_rest()) {
    begin_checkpoint();
  }
}

void Coordinator::begin_checkpoint() {
  const ProfilerRange range("checkpoint");
  settle_all();
  const CheckpointRecord record{CheckpointFolder::name(version_, gradients_), version_, gradients_,
                                clock_->now()};
  Snapshot& snapshot = checkpoints_->begin(record);
  snapshot.save(host_model_, snapshot.add(evaluated_name));
  if (!kept_model_.empty()) snapshot.save(kept_model_, snapshot.add(kept_name));
  checkpoints_->start(state_json(executor_->begin_snapshot(snapshot)));
  sealed_ = false;
  for (RunObserver* observer : observers_) observer->on_checkpoint(record);
}

/// Of the checkpoint in progress.
void Coordinator::save_more() {
  if (!sealed_ && executor_->save_more(vectors_at_once) < vectors_at_once) {
    checkpoints_->seal();
    sealed_ = true;
  }
  if (sealed_) tell_of_checkpoints(checkpoints_->poll());
}

/// So that a longer run can go on from here. Where a device fails meanwhile, there is the one before.
void Coordinator::checkpoint_the_end() {
  if (!checkpoints_) return;
  const auto finish = [this] {
    while (!sealed_) save_more();
    if (checkpoints_->in_progress()) tell_of_checkpoints(checkpoints_->finish());
  };
  if (checkpoints_->in_progress()) finish();
  if (checkpoints_->has(version_, gradients_) || !executor_->at_rest()) return;
  begin_checkpoint();
  finish();
}

/// `text`: what there is to say of the one in progress.
void Coordinator::tell_of_checkpoints(const std::optional<std::string>& text) {
  if (checkpoints_->in_progress()) return;
  if (text) {
    const Warning warning{Warning::Kind::checkpoint, version_, clock_->now(), *text};
    for (RunObserver* observer : observers_) observer->on_warning(warning);
  }
  const auto saved = checkpoints_->saved();
  if (!saved) return;
  for (RunObserver* observer : observers_) observer->on_checkpoint_saved(*saved);
}

}  // namespace tardigrad
