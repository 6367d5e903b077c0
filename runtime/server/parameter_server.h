#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>

#include "runtime/base/state_archive.h"
#include "runtime/checkpoint/snapshot.h"
#include "runtime/device/buffer.h"
#include "runtime/device/event.h"
#include "runtime/methods/method.h"
#include "runtime/server/replica.h"

namespace tardigrad {

/// Refers to the gradient of an arrival [d], on any device of the backend, there when `ready` (if given) is
/// reached.
struct ArrivedGradient {
  BufferRef<const float> values;
  const Event* ready = nullptr;
  /// Points to `values`, where the server may keep that memory as a row and leave the memory of the old row
  /// in its place (one pass of writing less). It is only given with an immediate stream. Both memories must
  /// then outlive server and executor.
  float** exchangeable = nullptr;
  Event* taken = nullptr;  ///< if given, recorded when `values` has been read; of the device that reads it
};

/// Is what a server is to do about one arrival (ParameterServer::apply).
struct ArrivalActions {
  const Actions& actions;
  double lr;
  std::span<Replica* const> replicas;
  const ArrivedGradient* gradient;
};

/// Is shown a vector [d] in host memory, which is there for the call alone.
using VectorVisitor = std::function<void(std::span<const float>)>;

/// Keeps the model, on one device or on several, and carries out actions on it, as a parameter server (Li et
/// al. 2014) does. It decides nothing.
class ParameterServer {
 public:
  ParameterServer() = default;
  ParameterServer(const ParameterServer&) = delete;
  ParameterServer& operator=(const ParameterServer&) = delete;
  virtual ~ParameterServer() = default;

  /// Sets x ← values [d], from host memory. It is called before the first action, and returns when done.
  virtual void set_model(std::span<const float> values) = 0;

  /// Carries out actions with step size `lr`. `replicas` has one for each hand-over, in their order: where
  /// the model goes; null where it is there already. `gradient` may be null if no action needs one. It
  /// returns at once; a replica's `written` is reached when the model is in place.
  virtual void apply(const Actions& actions, double lr, std::span<Replica* const> replicas,
                     const ArrivedGradient* gradient) = 0;

  /// Does the same for several arrivals, in their order, with the same bits. Their updates may be done in one
  /// pass over memory, so that none may be waited for before the call returns. Where it throws, any number of
  /// the arrivals may be left out of the model.
  virtual void apply_all(std::span<const ArrivalActions> arrivals) {
    for (const auto& [actions, lr, replicas, gradient] : arrivals) apply(actions, lr, replicas, gradient);
  }

  /// Reads the model as of all actions so far into `values` [d], in host memory. Blocks until they are done.
  virtual void read_model(std::span<float> values) = 0;

  /// Returns the largest drift so far, ‖ū − mean of the rows‖/‖mean of the rows‖ before a resum mended it,
  /// and nothing before the first resum. Blocks until the latest one is done.
  virtual std::optional<double> largest_drift() = 0;

  /// Shows ū, and then the rows of the main table that count in it, as of all actions so far; nothing where
  /// there is no table. Blocks until they are done.
  virtual void read_mean_and_rows(const VectorVisitor& /*mean*/, const VectorVisitor& /*row*/) {}

  /// Returns k, the steps so far.
  virtual std::uint64_t version() const = 0;

  /// Tells whether a snapshot can begin now. If not, it can after some later action.
  virtual bool at_rest() const { return true; }

  /// Announces all vectors that a resumed run needs, and saves them as they are behind all actions so far:
  /// the model and a few others at once, rows of tables by save_more() or before they change.
  virtual void begin_snapshot(Snapshot& snapshot) = 0;

  /// Saves up to `vectors` more vectors, and returns how many there were.
  virtual std::size_t save_more(std::size_t vectors) = 0;

  /// Saves a replica as it is before any later action writes it.
  virtual void save_replica(Snapshot& snapshot, const Replica& replica, Snapshot::Place place) = 0;

  /// Visits what belongs to the tables and is no vector.
  virtual void visit_state(StateArchive&) {}

  /// Says which vectors of a snapshot restore() takes.
  enum class Restored { all, momentum_alone };

  /// Takes what was saved. The model by itself is set by set_model(). Throws std::invalid_argument where it
  /// does not fit.
  virtual void restore(VectorSource& vectors, std::uint64_t version, Restored what) = 0;

  /// Throws DeviceError for a failure that no stream would show.
  virtual void check() const {}
};

}  // namespace tardigrad
