#include "runtime/events/worker_health.h"

#include <fmt/format.h>

#include <algorithm>

#include "runtime/events/event_source.h"

namespace tardigrad {

WorkerHealth::WorkerHealth(const Delays& delays, const EventScript& speeds, double time_unit_s, int workers,
                           std::optional<double> timeout_s)
    : delays_(delays),
      speeds_(speeds),
      time_unit_s_(time_unit_s),
      given_s_(timeout_s),
      seen_(static_cast<std::size_t>(workers)) {}

void WorkerHealth::add(int worker, double began_s, double took_s) {
  Seen& seen = seen_[static_cast<std::size_t>(worker)];
  ++seen.jobs;
  seen.work_s += took_s / speeds_.slowdown(worker, began_s / time_unit_s_);
  if (seen.known()) largest_mean_s_ = std::max(largest_mean_s_, seen.mean_s());
}

double WorkerHealth::timeout_s(int worker) const {
  if (given_s_) return *given_s_;
  const double mean_s = seen(worker).known() ? seen(worker).mean_s() : largest_mean_s_;
  return mean_s > 0 ? std::max(least_s, times_the_mean * mean_s) : EventSource::never;
}

double WorkerHealth::overdue_at(int worker, std::uint64_t job, double began_s) const {
  const double timeout = timeout_s(worker) / time_unit_s_;
  if (timeout == EventSource::never) return EventSource::never;
  const double work = timeout + (delays_.measured() ? 0 : delays_.duration(worker, job));
  return speeds_.end_time(worker, began_s / time_unit_s_, work) * time_unit_s_;
}

std::string WorkerHealth::explain(int worker) const {
  if (given_s_) return fmt::format("{:.3g} s by --worker-timeout", *given_s_);
  const bool known = seen(worker).known();
  return fmt::format("{:.3g} s: {} times the {} mean of {:.3g} s, and at least {} s", timeout_s(worker),
                     times_the_mean, known ? "worker's" : "slowest worker's",
                     known ? seen(worker).mean_s() : largest_mean_s_, least_s);
}

}  // namespace tardigrad
