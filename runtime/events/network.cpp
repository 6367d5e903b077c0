#include "runtime/events/network.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <stdexcept>

#include "runtime/events/event_source.h"

namespace tardigrad {

Network::Network(const NetworkSpeed& speed, double vector_bytes, int workers)
    : latency_(speed.latency),
      turn_(vector_bytes / speed.bandwidth),
      waits_(static_cast<std::size_t>(workers)) {
  constexpr double most = 1e100;
  if (latency_ + turn_ < most) return;
  throw std::invalid_argument(fmt::format(
      "--compute-time: a vector of {:g} bytes takes {:g} units of time on the network; expected less "
      "than {:g}",
      vector_bytes, latency_ + turn_, most));
}

void Network::add_model(int worker, std::uint64_t job, double now) {
  models_.push_back({worker, job, now});
  waits_[static_cast<std::size_t>(worker)] = true;
}

double Network::next_turn() const {
  return models_.empty() ? EventSource::never : std::max(models_.front().ready, models_until_);
}

Network::Sent Network::send_model() {
  const Model model = models_.front();
  models_until_ = next_turn() + turn_;
  models_.pop_front();
  waits_[static_cast<std::size_t>(model.worker)] = false;
  sent_last_ = model.worker;
  return {model.worker, model.job, models_until_ + latency_};
}

double Network::arrival_of_gradient(double ready) const {
  return std::max(ready, gradients_until_) + turn_ + latency_;
}

void Network::receive_gradient(double ready) { gradients_until_ = std::max(ready, gradients_until_) + turn_; }

void Network::discard(int worker, double now, double ready, bool is_next) {
  if (waits(worker)) {
    std::erase_if(models_, [worker](const Model& model) { return model.worker == worker; });
    waits_[static_cast<std::size_t>(worker)] = false;
  } else if (sent_last_ == worker && models_until_ > now) {
    models_until_ = now;
  } else if (is_next && ready <= now) {
    gradients_until_ = std::max(now, gradients_until_);
  }
}

void Network::visit_state(StateArchive& state) {
  const int workers = static_cast<int>(waits_.size());
  state.real("models_until", models_until_);
  state.real("gradients_until", gradients_until_);
  state.number("sent_last", sent_last_, 0, workers - 1);
  std::vector<int> receivers;
  std::vector<std::uint64_t> jobs;
  std::vector<double> ready;
  for (const Model& model : models_) {
    receivers.push_back(model.worker);
    jobs.push_back(model.job);
    ready.push_back(model.ready);
  }
  state.workers("models_for", receivers, workers);
  state.numbers("models_of_jobs", jobs, receivers.size(), std::uint64_t{0},
                std::numeric_limits<std::uint64_t>::max());
  state.reals("models_ready", ready, receivers.size());
  if (!state.restoring()) return;
  models_.clear();
  for (std::size_t i = 0; i < receivers.size(); ++i) add_model(receivers[i], jobs[i], ready[i]);
}

}  // namespace tardigrad
