#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "runtime/events/delays.h"
#include "runtime/events/event_source.h"
#include "runtime/events/network.h"
#include "runtime/events/scripted_changes.h"

namespace tardigrad {

/// Returns arrivals in the order of (end time, worker), end times from the delay model and the events: a
/// discrete-event simulation, exactly repeatable. It never blocks.
///
/// With a network, a job begins to be computed when its model is there, and arrives when its gradient is: in
/// the order in which gradients are ready, since all are of one size.
///
/// A worker computes one job at a time, so the queue is a tournament over the workers: a binary tree whose
/// nodes hold the worker below them that ends first. A change costs log₂ n comparisons.
class VirtualEvents final : public EventSource {
 public:
  /// Models and gradients are of so many bytes, which only a network asks for. Throws std::invalid_argument
  /// as Network does.
  VirtualEvents(const Delays& delays, const EventScript& speeds, int workers, double vector_bytes = 0);

  double now() const override { return now_; }
  void start_job(int worker, std::uint64_t job) override;
  void discard(int worker) override;
  bool is_computing(int worker) const override {
    return ends_[static_cast<std::size_t>(worker)] < never || (network_ && network_->waits(worker));
  }
  bool lets_discarded_jobs_end() const override { return false; }
  bool expects_changes() const override { return changes_.time() < never; }
  std::vector<int> skip_changes() override { return changes_.skip_to(now_); }
  void visit_state(StateArchive& state, bool with_jobs) override;
  std::optional<Event> next(double deadline, const std::stop_token& stop) override;

 private:
  static constexpr int nobody = -1;
  double arrival_of_first() const;
  void send_models(double deadline);
  void set_end(int worker, double time);
  void forget_over();
  void replay_matches(int worker);

  const Delays& delays_;
  const EventScript& speeds_;
  ScriptedChanges changes_;
  std::optional<Network> network_;
  double now_ = 0;
  int over_ = nobody;  // whose arrival was the latest, if it has no next job yet
  std::size_t workers_;
  int leaves_;                // a power of two, ≥ the number of workers
  std::vector<double> ends_;  // when each worker's job is computed; `never` if it has none
  std::vector<int> winners_;  // winners_[1] is the first of all; the children of node i are 2i and 2i + 1
};

}  // namespace tardigrad
