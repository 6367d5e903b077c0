#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "runtime/base/state_archive.h"

namespace tardigrad {

/// Says how fast the link between the server and its workers is (`--compute-time
/// …+network:LATENCY:BANDWIDTH`).
struct NetworkSpeed {
  double latency = 0;    ///< units of time that a vector takes besides its turn on the link
  double bandwidth = 0;  ///< bytes a unit of time, each way
};

/// Is the server's link, which all workers share: both ways at once, each way one vector of d floats after
/// another, in the order in which they are ready. It knows times alone. What nobody waits for any more takes
/// no turn, or none beyond now where its turn has begun.
class Network {
 public:
  /// Names a model that is on its way, and when the worker has it.
  struct Sent {
    int worker;
    std::uint64_t job;
    double there;
  };

  /// Makes a link that is free, for vectors of so many bytes. Throws std::invalid_argument where one would
  /// take 1e100 units or more.
  Network(const NetworkSpeed& speed, double vector_bytes, int workers);

  /// Takes note that the model of a worker's job waits for its turn from now on.
  void add_model(int worker, std::uint64_t job, double now);
  bool waits(int worker) const { return waits_[static_cast<std::size_t>(worker)]; }

  /// Returns when the turn of the next model begins; EventSource::never if none waits.
  double next_turn() const;

  /// Sends the next model.
  Sent send_model();

  /// Returns when the server would have a gradient that is ready then, as the next one.
  double arrival_of_gradient(double ready) const;

  /// Takes note that this gradient is the next one, and has come.
  void receive_gradient(double ready);

  /// Takes note that a worker's job was thrown away now. Its gradient is ready at a time, perhaps a later
  /// one; `is_next` where no other is ready before.
  void discard(int worker, double now, double ready, bool is_next);

  void visit_state(StateArchive& state);

 private:
  struct Model {
    int worker;
    std::uint64_t job;
    double ready;
  };

  double latency_;
  double turn_;
  double models_until_ = 0;  ///< when the last one sent has left
  double gradients_until_ = 0;
  int sent_last_ = 0;         ///< the worker that it goes to
  std::deque<Model> models_;  ///< that wait, the next one first
  std::vector<bool> waits_;   ///< whether one of the worker does
};

}  // namespace tardigrad
