// What the coordinator does about workers that fail, hang and come back.

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "runtime/coordinator/coordinator.h"

namespace tardigrad {
namespace {

/// Now, as a replay will have it: before the evaluation that may be due.
double time_of_trouble(const EventSource& events, const Evaluations& evaluations, double time_limit) {
  return std::min({events.now(), evaluations.next_time(), time_limit});
}

}  // namespace

void Coordinator::take_out(int worker, Absence reason, double time, const std::string& text) {
  if (!membership_.take_out(worker, reason, text)) return;
  records_.settle();  // all that came before is told first
  observers_.on_worker_change({worker, true, position_.updates, time, text});
  if (const auto job = jobs_.lose(worker)) records_.add_discard(*job);
  executor_.lose(worker, jobs_.is_discarding(worker));
  actions_.clear();
  method_.lose(worker, actions_);
  records_.tell_without_gradient(carry_out({worker, time}));
}

void Coordinator::take_back(int worker, Absence reason, double time, const std::string& text) {
  if (!membership_.take_back(worker, reason)) return;
  records_.settle();
  observers_.on_worker_change({worker, false, position_.updates, time, text});
  actions_.clear();
  method_.regain(worker, actions_);
  records_.tell_without_gradient(carry_out({worker, time}));
}

/// Wall time: workers whose device or stream has failed.
void Coordinator::take_out_failed() {
  while (const auto failure = executor_.next_failure()) {
    take_out(failure->worker, Absence::failed, time_of_trouble(events_, evaluations_, options_.time_limit),
             failure->what);
    executor_.lose(failure->worker, false);  // one that hung before still had its job
  }
}

/// Wall time: workers whose job is overdue. One that has ended was not heard of yet.
void Coordinator::take_out_hung() {
  const double now = events_.now();
  const WorkerHealth& health = *execution_.health;
  for (int worker = 0; worker < objective_.workers(); ++worker) {
    if (membership_.is_out(worker) || !(jobs_.computes(worker) || jobs_.is_discarding(worker))) continue;
    const std::uint64_t job = jobs_.started_job(worker);
    const double began = jobs_.started_at(worker);
    if (now <= health.overdue_at(worker, job, began) || executor_.has_ended(worker)) continue;
    membership_.give_up_at(worker, now + health.timeout_s(worker));
    take_out(worker, Absence::hung, time_of_trouble(events_, evaluations_, options_.time_limit),
             fmt::format("no end of job {} after {:.3g} s (allowed: {})", job, now - began,
                         health.explain(worker)));
  }
}

/// Now and then, and when nothing came: devices may have failed, or workers.
void Coordinator::check_progress() {
  executor_.check();
  if (execution_.health) take_out_hung();
  take_out_failed();
  if (events_.expects_changes()) return;
  const double now = events_.now();
  for (int worker = 0; worker < objective_.workers(); ++worker) {
    if (jobs_.computes(worker)) return;
    if (jobs_.is_discarding(worker) && membership_.may_come_back(worker, now)) return;
  }
  records_.settle();  // a log shows all that came before
  throw WorkersLostError(
      fmt::format("no gradient will arrive after time {:.6g}: lost are {}", now, membership_.describe()),
      position_.updates);
}

/// Lets jobs in flight end, unheard; then nothing uses the buffers any more, but jobs that hang.
void Coordinator::wind_up() noexcept {
  if (std::exchange(wound_up_, true)) return;
  Executor::DrainTimeout timeout_s;
  if (execution_.health) {
    timeout_s = [this](int worker) {
      return membership_.is_out(worker, Absence::hung) ? 0.0 : execution_.health->timeout_s(worker);
    };
  }
  hung_ = !executor_.drain(timeout_s);
}

}  // namespace tardigrad
