#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/checkpoint/snapshot.h"
#include "runtime/device/buffer.h"
#include "runtime/device/stream.h"
#include "runtime/ranks/servers/shard_messages.h"
#include "runtime/ranks/servers/shard_models.h"
#include "runtime/ranks/transport.h"
#include "runtime/server/replica.h"
#include "runtime/server/server.h"
#include "runtime/server/server_fusion.h"

namespace tardigrad {

/// Keeps one shard of the model and the tables on a rank of its own, and does what rank 0 orders
/// (ServerOfShards), in that order: an order waits for those before it, and for its part of a gradient. Rank
/// 0 is told of every part that is here, so that it orders nothing about one that will never be. Models go to
/// the ranks of workers by themselves; nothing waits for one that has not taken its own yet.
class RankShard {
 public:
  /// Keeps that shard of vectors [dimension]. The transport outlives it.
  RankShard(Transport& transport, std::size_t dimension, Shard shard, int workers, const ServerMemory& memory,
            const ServerOptions& options);
  RankShard(const RankShard&) = delete;
  RankShard& operator=(const RankShard&) = delete;
  ~RankShard();

  /// Does what it is told, until there is nothing more to do. Returns whether all ranks are there to leave
  /// the job together.
  bool serve();

 private:
  class Pieces;
  class VectorsOfRank0;

  /// Is memory into which parts of gradients are received, and from which the server reads them.
  struct Landing {
    Landing(const StreamRef& memory_of, std::size_t size)
        : memory(memory_of, size), values(memory.ref().data()) {}
    Buffer<float> memory;
    float* values;  // the server may exchange it for a row
  };

  struct Gradient {
    std::int32_t worker;
    std::uint64_t job;
    Landing* landing;
    std::optional<Transport::Transfer> transfer;  // until it is here
  };

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
  bool take_gradients();
  bool carry_out_orders();
  static bool has_gradient(const ShardOrder& order);
  Gradient* find_gradient(const ShardOrder& order);
  Landing* take_gradient(const ShardOrder& order);
  bool is_ready(Waiting& waiting);
  void carry_out(const Waiting& waiting);
  void apply(const Waiting& waiting);
  void clip();
  void read(const ShardOrder& order);
  void begin_snapshot(std::uint64_t announced_bytes);
  void save_replica(const ShardOrder& order);
  void restore(const ShardOrder& order);
  void report(ShardReport report, std::optional<Snapshot::Piece> piece = std::nullopt);
  bool settle();
  void wait_for(Transport::Transfer transfer);

  Transport& transport_;
  std::size_t dimension_;
  Shard shard_;
  Stream stream_;
  std::vector<std::unique_ptr<Landing>> landings_;  // they outlive the server, which may keep them as rows
  std::vector<Landing*> unused_;
  Server server_;
  std::vector<Gradient> gradients_;  // that no order has taken yet
  std::deque<Waiting> orders_;
  ShardModels models_;
  std::unique_ptr<StagingPool> pool_;
  std::unique_ptr<Pieces> snapshot_;
  std::deque<std::unique_ptr<Letter>> letters_;
  ShardOrder message_;  // that is being received
  std::optional<Transport::Transfer> message_transfer_;
  bool ended_ = false;
  bool all_leave_ = true;
};

}  // namespace tardigrad
