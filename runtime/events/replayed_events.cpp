#include "runtime/events/replayed_events.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

namespace tardigrad {

ReplayedEvents::ReplayedEvents(Recording& recording, int workers)
    : recording_(recording),
      states_(static_cast<std::size_t>(workers)),
      lost_(states_.size()),
      next_(recording.next()) {}

void ReplayedEvents::start_job(int worker, std::uint64_t) {
  states_[static_cast<std::size_t>(worker)] = State::computing;
}

void ReplayedEvents::discard(int worker) {
  states_[static_cast<std::size_t>(worker)] = recording_.wall() ? State::discarded : State::idle;
}

std::optional<EventSource::Event> ReplayedEvents::next(double deadline, const std::stop_token& stop) {
  if (stop.stop_requested() || !next_) return std::nullopt;
  if (next_->record.time > deadline) {
    now_ = std::max(now_, deadline);
    return std::nullopt;
  }
  latest_ = next_;
  place_ = recording_.place();
  const JobRecord& record = latest_->record;
  const int worker = record.worker;
  check_worker(worker);
  now_ = std::max(now_, record.time);
  Event arrived{worker, Kind::end_of_job, record.time};
  if (latest_->kind == Recording::Event::Kind::lost || latest_->kind == Recording::Event::Kind::back) {
    const bool lost = latest_->kind == Recording::Event::Kind::lost;
    check_change(worker, lost);
    lost_[static_cast<std::size_t>(worker)] = lost;
    arrived.kind = lost ? Kind::lost : Kind::back;
  } else {
    check_end(worker);
    states_[static_cast<std::size_t>(worker)] = State::idle;
    arrived.compute_time = record.compute_time;
  }
  next_ = recording_.next();
  return arrived;
}

void ReplayedEvents::check_worker(int worker) const {
  if (worker >= 0 && worker < static_cast<int>(states_.size())) return;
  throw std::invalid_argument(
      fmt::format("{}worker {}, but this run has {}", place_, worker, states_.size()));
}

void ReplayedEvents::check_change(int worker, bool lost) const {
  if (lost_[static_cast<std::size_t>(worker)] != lost) return;
  throw std::invalid_argument(fmt::format("{}the recording {} worker {}, which in this run is {}", place_,
                                          lost ? "loses" : "has back", worker,
                                          lost ? "lost already" : "not lost"));
}

void ReplayedEvents::check_end(int worker) const {
  const State state = states_[static_cast<std::size_t>(worker)];
  const bool arrival = latest_->kind == Recording::Event::Kind::arrival;
  if (state == (arrival ? State::computing : State::discarded)) return;
  throw std::invalid_argument(
      fmt::format("{}the recording has {} of worker {}, which in this run computes {}", place_,
                  arrival ? "an arrival" : "the end of a discarded job", worker,
                  state == State::idle ? "nothing" : (arrival ? "a discarded job" : "a job")));
}

void ReplayedEvents::check(std::uint64_t job, std::uint64_t version) const {
  const JobRecord& record = latest_->record;
  if (record.job == job && record.version == version) return;
  throw std::invalid_argument(
      fmt::format("{}the recording has job {} of worker {} at version {}, this run job {} at version {}",
                  place_, record.job, record.worker, record.version, job, version));
}

}  // namespace tardigrad
