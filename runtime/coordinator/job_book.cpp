#include "runtime/coordinator/job_book.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace tardigrad {

bool JobBook::hand_over(int index, std::uint64_t version, Orders& orders) {
  Worker& worker = of(index);
  if (worker.discarding) {
    ++worker.late_hand_overs;
    return false;
  }
  const Job job{worker.handed_over++, version};
  worker.jobs.push(job);
  orders.hand_over(index, job);
  start_if_free(index, orders);
  return true;
}

std::optional<JobRecord> JobBook::discard(int index, Orders& orders) {
  Worker& worker = of(index);
  if (worker.discarding) {
    --worker.late_hand_overs;
    return std::nullopt;
  }
  const JobRecord thrown_away = throw_away(index);
  orders.discard(index, {thrown_away.job, thrown_away.version});
  start_if_free(index, orders);
  return thrown_away;
}

JobRecord JobBook::throw_away(int index) {
  Worker& worker = of(index);
  if (worker.jobs.empty()) throw std::logic_error(fmt::format("worker {} has no job to throw away", index));
  const Job job = worker.jobs.pop();
  const double now = events_.now();
  const double spent = now - worker.started_at;
  ++worker.discarded_jobs;
  worker.busy_time += spent;
  worker.discarded_time += spent;
  worker.computing = false;
  worker.discarding = events_.lets_discarded_jobs_end();
  events_.discard(index);
  return {index, job.number, job.version, now, spent};
}

GradientRecord JobBook::arrive(const EventSource::Event& event, std::uint64_t version) {
  Worker& worker = of(event.worker);
  if (worker.jobs.empty()) throw std::logic_error("a gradient arrives of a worker that has no job");
  const Job job = worker.jobs.pop();
  events_.check(job.number, job.version);
  const double compute_time = event.compute_time.value_or(event.time - worker.started_at);
  const std::uint64_t staleness = version - job.version;
  worker.computing = false;
  worker.busy_time += compute_time;
  worker.staleness.add(staleness);
  GradientRecord record;
  record.job = {event.worker, job.number, job.version, event.time, compute_time};
  record.staleness = staleness;
  record.queue_time = events_.now() - event.time;
  return record;
}

void JobBook::start_if_free(int index, Orders& orders) {
  Worker& worker = of(index);
  if (worker.computing || worker.discarding || worker.jobs.empty()) return;
  worker.computing = true;
  worker.started_at = events_.now();
  worker.started_job = worker.jobs.front().number;
  events_.start_job(index, worker.started_job);
  orders.start(index);
}

int JobBook::retire_discarded(int worker) {
  of(worker).discarding = false;
  return std::exchange(of(worker).late_hand_overs, 0);
}

std::optional<JobRecord> JobBook::lose(int index) {
  Worker& worker = of(index);
  worker.late_hand_overs = 0;
  std::optional<JobRecord> computed;
  if (worker.computing) computed = throw_away(index);
  worker.jobs.clear();
  return computed;
}

void JobBook::note_waiting(const GradientRecord& gradient) {
  Worker& worker = of(gradient.job.worker);
  worker.hand_over_time += gradient.hand_over_time;
  worker.queue_time += gradient.queue_time;
}

std::vector<std::vector<Job>> JobBook::jobs() const {
  std::vector<std::vector<Job>> jobs(workers_.size());
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    workers_[i].jobs.for_each([&](const Job& job) { jobs[i].push_back(job); });
  }
  return jobs;
}

WorkerRecord JobBook::summarise(int index, double now) const {
  const Worker& worker = of(index);
  WorkerRecord record;
  record.worker = index;
  record.jobs = worker.staleness.total();
  if (record.jobs > 0) {
    const auto jobs = static_cast<double>(record.jobs);
    record.mean_compute_time = (worker.busy_time - worker.discarded_time) / jobs;
    record.mean_hand_over_time = worker.hand_over_time / jobs;
    record.mean_queue_time = worker.queue_time / jobs;
  }
  const double busy = worker.busy_time + (worker.computing ? now - worker.started_at : 0);
  if (now > 0) record.busy_share = std::min(1.0, busy / now);
  record.discarded_jobs = worker.discarded_jobs;
  if (busy > 0) record.discarded_share = worker.discarded_time / busy;
  record.staleness = worker.staleness;
  return record;
}

}  // namespace tardigrad
