#pragma once

#include <algorithm>

#include "runtime/base/state_archive.h"

namespace tardigrad {

/// Says how fast the link between the server and its workers is (`--compute-time
/// …+network:LATENCY:BANDWIDTH`).
struct NetworkSpeed {
  double latency = 0;    ///< units of time that a vector takes besides its turn on the link
  double bandwidth = 0;  ///< bytes a unit of time, each way
};

/// Is the server's link, which all workers share: both ways at once, each way one vector of d floats after
/// another, in the order in which they are ready. It knows times alone.
class Network {
 public:
  /// Makes a link that is free, for vectors of so many bytes.
  Network(const NetworkSpeed& speed, double vector_bytes)
      : latency_(speed.latency), turn_(vector_bytes / speed.bandwidth) {}

  /// Sends a model that is ready then, which is no sooner than any that was sent before. Returns when the
  /// worker has it.
  double send_model(double ready) {
    models_until_ = std::max(ready, models_until_) + turn_;
    return models_until_ + latency_;
  }

  /// Returns when the server would have a gradient that is ready then, as the next one.
  double arrival_of_gradient(double ready) const { return turn_ends(ready) + latency_; }

  /// Takes note that this gradient is the next one.
  void receive_gradient(double ready) { gradients_until_ = turn_ends(ready); }

  void visit_state(StateArchive& state) {
    state.real("models_until", models_until_);
    state.real("gradients_until", gradients_until_);
  }

 private:
  double turn_ends(double ready) const { return std::max(ready, gradients_until_) + turn_; }

  double latency_;
  double turn_;
  double models_until_ = 0;  ///< when the last one sent has left
  double gradients_until_ = 0;
};

}  // namespace tardigrad
