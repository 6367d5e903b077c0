#include "runtime/events/virtual_events.h"

#include <algorithm>
#include <bit>
#include <numeric>
#include <utility>

namespace tardigrad {

VirtualEvents::VirtualEvents(const Delays& delays, const EventScript& speeds, int workers,
                             double vector_bytes)
    : delays_(delays),
      speeds_(speeds),
      changes_(speeds),
      workers_(static_cast<std::size_t>(workers)),
      leaves_(static_cast<int>(std::bit_ceil(static_cast<unsigned>(workers)))),
      ends_(static_cast<std::size_t>(leaves_), never),
      winners_(2 * ends_.size()) {
  std::iota(winners_.begin() + leaves_, winners_.end(), 0);
  for (int worker = 0; worker < leaves_; ++worker) replay_matches(worker);
  if (delays.network()) network_.emplace(*delays.network(), vector_bytes, workers);
}

void VirtualEvents::start_job(int worker, std::uint64_t job) {
  if (worker == over_) over_ = nobody;
  if (network_) {
    set_end(worker, never);
    network_->add_model(worker, job, now_);
  } else {
    set_end(worker, speeds_.end_time(worker, now_, delays_.duration(worker, job)));
  }
}

void VirtualEvents::discard(int worker) {
  if (network_) {
    forget_over();
    network_->discard(worker, now_, ends_[static_cast<std::size_t>(worker)], worker == winners_[1]);
  }
  set_end(worker, never);
}

/// Sends those whose turn begins before anything else comes: until then a job may be thrown away.
void VirtualEvents::send_models(double deadline) {
  while (network_ && network_->next_turn() <= std::min({deadline, arrival_of_first(), changes_.time()}) &&
         network_->next_turn() < never) {
    const Network::Sent sent = network_->send_model();
    set_end(sent.worker, speeds_.end_time(sent.worker, sent.there, delays_.duration(sent.worker, sent.job)));
  }
}

void VirtualEvents::set_end(int worker, double time) {
  ends_[static_cast<std::size_t>(worker)] = time;
  replay_matches(worker);
}

/// On the way from the worker's leaf to the root. Of equals the left one wins, which has the lower index.
void VirtualEvents::replay_matches(int worker) {
  const std::size_t leaf = static_cast<std::size_t>(leaves_) + static_cast<std::size_t>(worker);
  for (std::size_t node = leaf / 2; node > 0; node /= 2) {
    const int left = winners_[2 * node];
    const int right = winners_[2 * node + 1];
    winners_[node] =
        ends_[static_cast<std::size_t>(right)] < ends_[static_cast<std::size_t>(left)] ? right : left;
  }
}

double VirtualEvents::arrival_of_first() const {
  const double end = ends_[static_cast<std::size_t>(winners_[1])];
  return network_ && end < never ? network_->arrival_of_gradient(end) : end;
}

void VirtualEvents::forget_over() {
  if (over_ != nobody) set_end(std::exchange(over_, nobody), never);
}

void VirtualEvents::visit_state(StateArchive& state, bool with_jobs) {
  forget_over();
  state.real("now", now_);
  if (!with_jobs) return;
  changes_.visit_state(state);
  if (network_) network_->visit_state(state);
  std::vector<double> ends(ends_.begin(), ends_.begin() + static_cast<std::ptrdiff_t>(workers_));
  state.reals("ends", ends, workers_);
  if (!state.restoring()) return;
  for (std::size_t worker = 0; worker < workers_; ++worker) set_end(static_cast<int>(worker), ends[worker]);
}

/// The job that is over keeps its place in the tournament: mostly the worker's next one takes it before the
/// next arrival is asked for.
std::optional<EventSource::Event> VirtualEvents::next(double deadline, const std::stop_token& stop) {
  if (stop.stop_requested()) return std::nullopt;
  forget_over();
  send_models(deadline);
  const int worker = winners_[1];
  const double arrival = arrival_of_first();
  const double time = std::min(arrival, changes_.time());
  if (time > deadline || time == never) {
    if (deadline < never) now_ = std::max(now_, deadline);
    return std::nullopt;
  }
  now_ = time;
  if (time < arrival) return changes_.take();
  if (network_) network_->receive_gradient(ends_[static_cast<std::size_t>(worker)]);
  over_ = worker;
  return Event{worker, Kind::end_of_job, time};
}

}  // namespace tardigrad
