#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "runtime/checkpoint/snapshot.h"
#include "runtime/device/buffer.h"
#include "runtime/device/stream.h"
#include "runtime/ranks/servers/shard_gradients.h"
#include "runtime/ranks/servers/shard_messages.h"
#include "runtime/ranks/servers/shard_models.h"
#include "runtime/ranks/servers/shard_snapshot.h"
#include "runtime/ranks/transport.h"
#include "runtime/server/replica.h"
#include "runtime/server/server.h"
#include "runtime/server/server_fusion.h"

namespace tardigrad {

/// Keeps one shard of the model and the tables on a rank of its own, on a CPU or a GPU, and does what rank 0
/// orders (ServerOfShards), in that order: an order waits for those before it, and for its part of a
/// gradient. Rank 0 is told of every part that is here, so that it orders nothing about one that will never
/// be. Models go to the ranks of workers by themselves; nothing waits for one that has not taken its own yet.
class RankShard {
 public:
  /// Keeps that shard of vectors [dimension] on a device. The transport outlives it.
  RankShard(Transport& transport, std::size_t dimension, Shard shard, int workers, const ServerMemory& memory,
            const ServerOptions& options, Device device = {});
  RankShard(const RankShard&) = delete;
  RankShard& operator=(const RankShard&) = delete;
  ~RankShard();

  /// Does what it is told, until there is nothing more to do. Returns whether all ranks are there to leave
  /// the job together.
  bool serve();

 private:
  class VectorsOfRank0;

  struct Waiting {
    ShardOrder order;
    std::vector<std::byte> payload = {};
    std::optional<Transport::Transfer> transfer = {};
  };

  /// Is a report on its way, with the piece that follows it.
  struct Letter {
    ShardReport report;
    std::optional<Snapshot::Piece> piece = std::nullopt;
    std::vector<Transport::Transfer> transfers = {};
  };

  bool look();
  bool take_messages();
  void take(const ShardOrder& message);
  bool expects_messages();
  bool carry_out_orders();
  static bool has_gradient(const ShardOrder& order);
  bool is_ready(Waiting& waiting);
  void carry_out(const Waiting& waiting);
  void apply(const Waiting& waiting);
  void clip();
  void read(const ShardOrder& order);
  void begin_snapshot(std::uint64_t announced_bytes);
  bool send_pieces();
  void save_replica(const ShardOrder& order);
  void restore(const ShardOrder& order);
  void report(ShardReport report, std::optional<Snapshot::Piece> piece = std::nullopt);
  bool settle();
  void wait_for(Transport::Transfer transfer);

  Transport& transport_;
  std::size_t dimension_;
  Shard shard_;
  Stream stream_;
  ShardGradients gradients_;  // outlives the server, which may keep their memory as rows
  Server server_;
  std::deque<Waiting> orders_;
  ShardModels models_;
  std::unique_ptr<StagingPool> pool_;
  std::unique_ptr<ShardSnapshot> snapshot_;
  bool saved_ = false;  // all of it has been handed over, and rank 0 is to hear of that behind the pieces
  std::deque<std::unique_ptr<Letter>> letters_;
  ShardOrder message_;  // that is being received
  std::optional<Transport::Transfer> message_transfer_;
  bool ended_ = false;
  bool all_leave_ = true;
};

}  // namespace tardigrad
