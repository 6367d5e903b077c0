#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "runtime/ranks/rank_mail.h"
#include "runtime/ranks/servers/server_of_ranks.h"
#include "runtime/ranks/servers/shard_messages.h"
#include "runtime/ranks/transport.h"
#include "runtime/server/server.h"
#include "runtime/server/server_fusion.h"

namespace tardigrad {

/// Keeps the model and the tables in shards, each on a rank of its own, and is rank 0's part: the first
/// shard, and what orders the ranks of the others (RankShard) to do the same. Shard i is on rank i. A
/// worker's rank sends each shard its part of a gradient, and has its part of a model from there, so that
/// rank 0 has no more of them than any other. All bits are those of one server.
///
/// Orders are carried out in their order, and nobody waits for that, but where a step is clipped, for the
/// norm of the whole direction, and where something is asked for. Replicas and gradients of apply() are this
/// shard's parts alone.
class ServerOfShards final : public ServerOfRanks {
 public:
  /// Cuts vectors [dimension] into as many shards. Transport, mail and stream outlive it.
  ServerOfShards(Transport& transport, RankMail& mail, StreamRef stream, std::span<const Shard> shards,
                 int workers, const ServerMemory& memory, const ServerOptions& options);

  /// Lets the other shards end what they have begun to save, for some seconds at most.
  ~ServerOfShards() override;
  ServerOfShards(const ServerOfShards&) = delete;
  ServerOfShards& operator=(const ServerOfShards&) = delete;

  void drop(const Arrived& arrived) override;

  /// Returns how many shards there are besides this one, with a part of every gradient each.
  int other_shards() const { return static_cast<int>(shards_.size()) - 1; }

  /// Takes what other shards have said, and calls `on_part` for each part of a gradient that is at one.
  /// Returns whether there was anything.
  bool look(const std::function<void(int worker, std::uint64_t job)>& on_part);

  /// Has the other shards send their parts of a replica to a rank.
  void send_model(const Replica& replica, int rank);

  /// Gives the other shards their parts of a replica, which is that row of the replicas in a snapshot.
  void restore_replica(const Replica& replica, VectorSource& vectors, std::size_t row);

  void set_model(std::span<const float> values) override;
  void apply(const Actions& actions, double lr, std::span<Replica* const> replicas,
             const ArrivedGradient* gradient) override;
  void read_model(std::span<float> values) override;
  std::optional<double> largest_drift() override;
  void read_mean_and_rows(const VectorVisitor& mean, const VectorVisitor& row) override;
  std::uint64_t version() const override { return server_.version(); }
  void begin_snapshot(Snapshot& snapshot) override;

  /// Returns `vectors` as long as other shards have any left.
  std::size_t save_more(std::size_t vectors) override;
  void save_replica(Snapshot& snapshot, const Replica& replica, Snapshot::Place place) override;
  void visit_state(StateArchive& state) override;

  /// Blocks until all shards have what was saved.
  void restore(VectorSource& vectors, std::uint64_t version, Restored what) override;

 private:
  /// Is an order on its way, with what follows it.
  struct Letter {
    ShardOrder order;
    std::vector<std::byte> payload;
    std::vector<Transport::Transfer> transfers;
  };

  void order(int rank, const ShardOrder& order, std::vector<std::byte> payload = {});
  void order_all(const ShardOrder& order, const std::vector<std::byte>& payload = {});
  bool settle();
  std::uint32_t number_of(const Replica& replica);
  std::vector<std::byte> payload_of(const Actions& actions, std::span<Replica* const> replicas);
  bool makes_resum(const Actions& actions) const;
  void clip();
  void note_drift();
  void gather(const ShardOrder& order, std::span<float> values);
  Transport::Transfer receive_report();
  bool take_report(VectorSource* wanted);
  void take_piece(const ShardReport& report);
  void send_wanted(const ShardReport& report, VectorSource& vectors);

  std::vector<Shard> shards_;  // of all ranks
  ServerOptions options_;
  Server server_;  // of the first
  std::deque<std::unique_ptr<Letter>> letters_;
  std::map<const Replica*, std::uint32_t> numbers_;  // of replicas, as other ranks know them
  std::vector<double> square_sums_;                  // of the whole direction, with clip_norm
  float clip_scale_ = 1;
  bool drift_pending_ = false;
  std::optional<double> largest_drift_;
  Snapshot* snapshot_ = nullptr;  // that is being taken; null: what comes is not wanted
  bool saved_here_ = true;
  std::size_t unsaved_ = 0;                          // shards that have not said that they have saved all
  std::size_t unrestored_ = 0;                       // likewise, that they have what was saved
  std::deque<std::pair<int, std::uint64_t>> parts_;  // that shards have got, of what worker's which job
  ShardReport report_;                               // that is being received
  Transport::Transfer report_transfer_;
};

}  // namespace tardigrad
