#include "runtime/coordinator/coordinator_lead.h"

#include <algorithm>
#include <cmath>

namespace tardigrad {

Coordinator::Lead::Lead(Coordinator& run) : run_(run) {
  for (int worker = 0; worker < run.objective_.workers(); ++worker) {
    most_examples_ = std::max(most_examples_, run.objective_.examples_per_job(worker));
  }
}

/// Asked for right before the events are waited for: whatever was due has been seen to.
void Coordinator::Lead::allow() {
  if (!run_.options_.hand_over_on_device || run_.events_.now() >= run_.options_.time_limit) return;
  const RunPosition& position = run_.position_;
  const std::uint64_t until_end = run_.stop_rule_.limits.arrivals_left(position, most_examples_);
  run_.executor_.allow_arrivals(std::min(until_end, run_.evaluations_.updates_left(position)));
}

/// The events have all that has arrived, whatever they wait for. What came after the time at which the run is
/// to be looked at counts as come before, as in a replay it has to.
void Coordinator::Lead::catch_up() {
  const double due = std::min(run_.evaluations_.next_time(), run_.options_.time_limit);
  while (run_.executor_.hold()) {
    auto event = run_.events_.next(EventSource::never, {});
    if (!event) continue;
    event->time = std::min(event->time, std::nextafter(due, 0.0));
    run_.handle(*event);
  }
}

}  // namespace tardigrad
