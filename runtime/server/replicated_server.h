#pragma once

#include <memory>
#include <span>
#include <vector>

#include "runtime/device/collectives.h"
#include "runtime/server/server.h"

namespace tardigrad {

/// Keeps a server on each of several devices (data parallelism): all keep the model and take the same steps.
/// A gradient is added up on its own device; before a step, one all-reduce adds up what the devices have. It
/// is for methods whose steps are along sums that begin anew after each: Accumulate (the first with restart),
/// ScaleMean, Step and HandOver. A device without a gradient of that sum adds zeros. The sum is rounded in
/// another order than one server's.
class ReplicatedServer final : public ParameterServer {
 public:
  /// Makes a server on each of the streams, one a device, which outlive it.
  ReplicatedServer(std::span<const StreamRef> streams, std::unique_ptr<Collectives> collectives,
                   std::size_t dimension, int workers, const ServerOptions& options);

  void set_model(std::span<const float> values) override;

  /// Carries out actions. Gradient and replicas lie on devices of the server's. Throws std::logic_error for
  /// other actions.
  void apply(const Actions& actions, double lr, std::span<Replica* const> replicas,
             const ArrivedGradient* gradient) override;

  /// Reads the first device's model: every device has the same.
  void read_model(std::span<float> values) override { servers_.front()->server.read_model(values); }

  std::optional<double> largest_drift() override { return std::nullopt; }
  bool at_rest() const override { return added_up_; }
  void begin_snapshot(Snapshot& snapshot) override { servers_.front()->server.begin_snapshot(snapshot); }
  std::size_t save_more(std::size_t) override { return 0; }
  void save_replica(Snapshot& snapshot, const Replica& replica, Snapshot::Place place) override {
    member(replica.model.device()).server.save_replica(snapshot, replica, place);
  }
  void restore(VectorSource& vectors, std::uint64_t version, Restored what) override;
  std::uint64_t version() const override { return servers_.front()->server.version(); }
  void check() const override { collectives_->check(); }

 private:
  /// Holds a device's server, and what it is to do next.
  struct Member {
    Member(StreamRef stream, std::size_t dimension, int workers, const ServerOptions& options)
        : server(stream, dimension, workers, {.tables = 0, .mean = true}, options) {}
    Server server;
    bool has_sum = false;  // of this round's gradients
    Actions actions;
    std::vector<Replica*> replicas;
    const ArrivedGradient* gradient = nullptr;
  };

  class Distribution;

  Member& member(Device device);
  void add_up();

  std::vector<std::unique_ptr<Member>> servers_;
  std::unique_ptr<Collectives> collectives_;
  bool added_up_ = true;  // the sums are those of all devices, or there are none: the next must begin anew
};

}  // namespace tardigrad
