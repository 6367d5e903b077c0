#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "runtime/server/server.h"
#include "runtime/server/server_fusion.h"

namespace tardigrad {

/// Keeps the model and the tables in shards, each with a server, a stream and, where there are several, a
/// device of its own: for what outgrows one GPU. Every action is carried out on all shards, each with the
/// kernels that one server would fuse; shards wait for each other only where a step is clipped, for the norm
/// of the whole direction. Gradients and replicas stay whole, and shards read and write their parts of them.
/// All bits are those of one server.
class ShardedServer final : public ParameterServer {
 public:
  /// Cuts vectors [dimension] into a shard for each of the streams, most_shards() at most. `home` is a stream
  /// on which shards meet: events of replicas and gradients are of its device. All streams outlive it.
  ShardedServer(StreamRef home, std::span<const StreamRef> streams, std::size_t dimension, int workers,
                const ServerMemory& memory, const ServerOptions& options);

  /// Blocks until the shards have done what they have: they read what belongs to others.
  ~ShardedServer() override;
  ShardedServer(const ShardedServer&) = delete;
  ShardedServer& operator=(const ShardedServer&) = delete;

  void set_model(std::span<const float> values) override;
  void apply(const Actions& actions, double lr, std::span<Replica* const> replicas,
             const ArrivedGradient* gradient) override;
  void read_model(std::span<float> values) override;
  std::optional<double> largest_drift() override;
  void read_mean_and_rows(const VectorVisitor& mean, const VectorVisitor& row) override;
  std::uint64_t version() const override { return parts_.front()->server.version(); }
  void begin_snapshot(Snapshot& snapshot) override;
  std::size_t save_more(std::size_t vectors) override;
  void save_replica(Snapshot& snapshot, const Replica& replica, Snapshot::Place place) override;
  void visit_state(StateArchive& state) override;
  void restore(VectorSource& vectors, std::uint64_t version, Restored what) override;

 private:
  /// Holds a shard's server, and what it tells the others.
  struct Part {
    Part(StreamRef stream, Shard elements, int workers, const ServerMemory& memory,
         const ServerOptions& options);

    Server::Fusion begin(double lr, std::span<Replica* const> replicas, const ArrivedGradient* gradient);
    StreamRef stream() const { return server.stream(); }
    std::span<float> of(std::span<float> values) const { return values.subspan(shard.begin, shard.size); }

    Shard shard;
    Server server;
    Event summed;                                   // the squares of its direction
    Event taken;                                    // the gradient of the latest actions, by this shard
    std::vector<std::unique_ptr<Replica>> written;  // parts of the replicas of the latest hand-overs
    std::vector<Replica*> targets;                  // those that are written; null: it is there
  };

  void clip(std::span<Server::Fusion> fusions);
  void note_drift();
  void join(std::span<Replica* const> replicas, const ArrivedGradient* gradient);

  StreamRef home_;
  std::optional<double> clip_norm_;
  std::vector<std::unique_ptr<Part>> parts_;
  // Of the whole direction, with a clip_norm_:
  std::optional<Buffer<double>> square_sums_;
  std::optional<Buffer<float>> clip_scale_;
  Event clipped_;
  bool drift_pending_ = false;
  std::optional<double> largest_drift_;
};

}  // namespace tardigrad
