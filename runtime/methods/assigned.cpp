#include "runtime/methods/assigned.h"

#include <utility>

namespace tardigrad {

void Assigned::start(Actions& actions) {
  working_.reset(workers_);
  jobs_.assign(static_cast<std::size_t>(workers_), 0);
  for (const int worker : working_) hand_over(worker, actions);
}

void Assigned::arrive(const Arrival& arrival, Actions& actions) {
  --jobs_[static_cast<std::size_t>(arrival.worker)];
  --outstanding_;
  actions.emplace_back(Step{});
  hand_over(draw(), actions);
}

void Assigned::lose(int worker, Actions& actions) {
  working_.lose(worker);
  outstanding_ -= std::exchange(jobs_[static_cast<std::size_t>(worker)], 0);
  hand_over_what_is_missing(actions);
}

void Assigned::regain(int worker, Actions& actions) {
  working_.regain(worker);
  hand_over_what_is_missing(actions);
}

void Assigned::hand_over_what_is_missing(Actions& actions) {
  if (working_.count() == 0) return;
  while (outstanding_ < workers_) hand_over(draw(), actions);
}

void Assigned::hand_over(int worker, Actions& actions) {
  ++jobs_[static_cast<std::size_t>(worker)];
  ++outstanding_;
  actions.emplace_back(HandOver{worker});
}

void Assigned::visit_state(StateArchive& state) {
  working_.visit_state(state);
  tardigrad::visit_state("random", random_, state);
  state.numbers("jobs", jobs_, jobs_.size(), 0, workers_);
  if (!state.restoring()) return;
  long long sum = 0;
  for (int worker = 0; worker < workers_; ++worker) {
    const int jobs = jobs_[static_cast<std::size_t>(worker)];
    if (jobs > 0 && !working_.has(worker)) state.refuse("jobs", "none of a worker that is lost");
    sum += jobs;
  }
  if (sum != (working_.count() > 0 ? workers_ : 0)) state.refuse("jobs", "as many as there are workers");
  outstanding_ = static_cast<int>(sum);
}

}  // namespace tardigrad
