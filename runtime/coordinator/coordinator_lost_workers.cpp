// Kind the coordinator does about workers that fail, hang and come back.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "runtime/coordinator/coordinator.h"

namespace tardigrad {

/// Wall time: whether the end that was heard of is that of a job, and not of a worker.
bool Coordinator::is_sound(int worker) {
  return !state(worker).absence.failed && executor_->is_healthy(worker);
}

/// By the script, or as recorded.
void Coordinator::take_change(const EventSource::Event& change) {
  if (change.kind == EventSource::Kind::lost) {
    take_out(change.worker, &Absence::scripted, change.time, clock_->reason());
  } else {
    take_back(change.worker, &Absence::scripted, change.time, clock_->reason());
  }
}

void Coordinator::take_out(int index, bool Absence::*why, double time, const std::string& reason) {
  WorkerState& worker = state(index);
  const bool was_lost = worker.absence.any();
  worker.absence.*why = true;
  if (was_lost) return;
  reasons_[index] = reason;
  tell_change({index, true, version_, time, reason});
  worker.late_hand_overs = 0;
  if (worker.computing) throw_away(index);
  worker.jobs.clear();
  executor_->lose(index);
  method_.lose(index, actions_);
  act_on_change(index, time);
}

void Coordinator::take_back(int index, bool Absence::*why, double time, const std::string& reason) {
  WorkerState& worker = state(index);
  if (!std::exchange(worker.absence.*why, false) || worker.absence.any()) return;
  reasons_.erase(index);
  tell_change({index, false, version_, time, reason});
  method_.regain(index, actions_);
  act_on_change(index, time);
}

/// Behind the records of all that came before.
void Coordinator::tell_change(const WorkerChange& change) {
  settle_all();
  for (RunObserver* observer : observers_) observer->on_worker_change(change);
  actions_.clear();
}

/// Carries out what the method made of a loss or a return. There is no gradient to it.
void Coordinator::act_on_change(int index, double time) {
  const double lr = learning_rate(time);
  auto update = account(actions_, {index, EventSource::Kind::lost, time}, 0, lr);
  executor_->act(actions_, lr);
  for (RunObserver* observer : observers_) {
    for (const JobRecord& discarded : discards_) observer->on_discard(discarded);
  }
  discards_.clear();
  if (!update) return;
  update->loss = latest_loss_;
  for (RunObserver* observer : observers_) observer->on_update(*update);
}

/// Now, as a replay will have it: before the evaluation that may be due.
double Coordinator::time_of_trouble() const {
  return std::min({clock_->now(), next_evaluation_time_, options_.time_limit});
}

/// Wall time: workers whose device or stream has failed.
void Coordinator::take_out_failed() {
  while (const auto failure = executor_->next_failure()) {
    take_out(failure->worker, &Absence::failed, time_of_trouble(), failure->what);
    executor_->lose(failure->worker);  // one that hung before still had its job
  }
}

/// Wall time: workers whose job is overdue. One that has ended was not heard of yet.
void Coordinator::take_out_hung() {
  const double now = clock_->now();
  for (int index = 0; index < objective_.workers(); ++index) {
    WorkerState& worker = state(index);
    if (worker.absence.any() || !(worker.computing || worker.discarding)) continue;
    if (now <= health_->overdue_at(index, worker.started_job, worker.started_at)) continue;
    if (executor_->has_ended(index)) continue;
    worker.hopeless_at = now + health_->timeout_s(index);
    take_out(index, &Absence::hung, time_of_trouble(),
             fmt::format("no end of job {} after {:.3g} s (allowed: {})", worker.started_job,
                         now - worker.started_at, health_->explain(index)));
  }
}

/// Whether the end of a job that was thrown away leads to anything. One that hangs is given as much time
/// again.
bool Coordinator::may_end_yet(const WorkerState& worker) const {
  if (!worker.discarding || worker.absence.scripted || worker.absence.failed) return false;
  return !worker.absence.hung || clock_->now() <= worker.hopeless_at;
}

bool Coordinator::anything_to_come() const {
  return clock_->expects_changes() || std::any_of(states_.begin(), states_.end(), [this](const auto& worker) {
           return worker.computing || may_end_yet(worker);
         });
}

/// Now and then, and when nothing came: devices may have failed, or workers.
void Coordinator::check_progress() {
  executor_->check();
  if (health_) {
    take_out_hung();
    take_out_failed();
  }
  if (!anything_to_come()) end_without_workers();
}

std::string Coordinator::describe_lost() const {
  constexpr std::size_t most_named = 3;
  std::vector<std::string> lost;
  for (const auto& [worker, reason] : reasons_) {
    if (lost.size() == most_named) break;
    lost.push_back(fmt::format("worker {} ({})", worker, reason));
  }
  const std::size_t others = reasons_.size() - lost.size();
  return fmt::format("{}{}", fmt::join(lost, ", "), others > 0 ? fmt::format(" and {} more", others) : "");
}

void Coordinator::end_without_workers() {
  settle_all();  // a log shows all that came before
  throw WorkersLostError(
      fmt::format("no gradient will arrive after time {:.6g}: lost are {}", clock_->now(), describe_lost()),
      version_);
}

/// Lets jobs in flight end, unheard; then nothing uses the buffers any more, but jobs that hang.
void Coordinator::wind_up() noexcept {
  if (std::exchange(wound_up_, true)) return;
  const auto patience_s = [this](int worker) {
    return state(worker).absence.hung ? 0.0 : health_->timeout_s(worker);
  };
  hung_ = !executor_->drain(health_ ? Executor::DrainTimeout(patience_s) : Executor::DrainTimeout());
}

}  // namespace tardigrad
