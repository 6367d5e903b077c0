#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/device/buffer.h"
#include "runtime/device/stream.h"
#include "runtime/execution/job_options.h"
#include "runtime/objective/objective.h"
#include "runtime/ranks/messages.h"
#include "runtime/ranks/rank_vector.h"
#include "runtime/ranks/servers/rank_server.h"
#include "runtime/ranks/servers/shard_messages.h"
#include "runtime/ranks/shared_vectors.h"
#include "runtime/ranks/transport.h"
#include "runtime/ranks/workers/rank_lanes.h"
#include "runtime/server/replica.h"
#include "runtime/server/shard.h"

namespace tardigrad {

/// Computes, on a rank of its own, the gradients of some of a run's workers (RankLanes) as rank 0 orders
/// them, and sends each of them back, to every shard its part, or keeps it for the sum that all ranks add up.
/// On rank 0's machine it reads models and writes gradients where they are wanted (SharedVectors).
///
/// What is sent and received lies in the host's memory, from where and to where a GPU copies it; on this
/// rank's first GPU where that keeps the model, or where the transport takes it from there.
class RankWorker final : private RankLanes::Owner {
 public:
  /// Makes what computes for these workers. With `kept` this rank keeps the model, too, and its gradients
  /// stay here (AllReduceServer). The model is in `shards` shards, on as many ranks (ServerOfShards).
  /// Objective and transport outlive it.
  RankWorker(Transport& transport, Objective& objective, const std::vector<int>& workers,
             const std::vector<Device>& devices, const JobOptions& job,
             const std::optional<KeptModel>& kept = {}, std::size_t shards = 1);
  RankWorker(const RankWorker&) = delete;
  RankWorker& operator=(const RankWorker&) = delete;
  ~RankWorker() override;

  /// Does what rank 0 orders, until there is nothing more to do. Returns whether all ranks are there to leave
  /// the job together.
  bool serve();

 private:
  /// Is an answer, from the time that its gradient is computed until it has been sent.
  struct Result {
    explicit Result(Device server) : taken(server) {}
    RankAnswer answer;
    ShardOrder header;                   // of the gradient, to other shards than rank 0's
    std::optional<RankVector> gradient;  // once there was one that is sent, or kept
    Event taken;                         // recorded by this rank's server when it has read that
    bool in_place = false;               // the gradient is in memory of rank 0
    std::string failure;
    std::vector<Transport::Transfer> transfers = {};
  };
  using Results = std::vector<std::unique_ptr<Result>>;

  struct Model {
    Model(RankVector memory, Device server) : values(std::move(memory)), replica(values.ref(), server) {}
    RankVector values;
    Replica replica;  // in that memory
    std::vector<Transport::Transfer> arriving = {};
  };

  bool look();
  bool take_orders();
  void take(const RankOrder& order);
  void take_job(const RankOrder& order);
  bool is_ready(const RankOrder& job) override;
  RankLanes::Place begin(const RankOrder& job) override;
  void end(const RankAnswer& answer, const std::string& failure) override;
  Device server_device() const { return server_ ? server_->stream().device() : Device{}; }
  RankVector make_vector() const;
  void send_to_shards(Result& result);
  bool settle_sent();
  std::unique_ptr<Result> take_unused();
  std::unique_ptr<Result> take_kept(const RankOrder& order);
  static std::unique_ptr<Result> take_out(Results& results, int worker, std::uint64_t job);

  Transport& transport_;
  std::size_t dimension_;
  std::vector<Shard> shards_;            // by the ranks that keep them
  Device device_;                        // whose copies the host's vectors are to be fast for
  std::optional<SharedVectors> shared_;  // with rank 0
  std::optional<Stream> gpu_;            // has what is sent and received, where the transport takes that
  std::deque<Model> models_;             // by their slots
  std::optional<RankServer> server_;
  Results spare_;
  Results computed_;  // of jobs that have begun
  Results sent_;
  Results kept_;     // until the server adds them up
  RankOrder order_;  // that is being received
  std::optional<Transport::Transfer> order_transfer_;
  bool ended_ = false;
  bool all_leave_ = true;
  RankLanes lanes_;  // last: it uses the members above
};

}  // namespace tardigrad
