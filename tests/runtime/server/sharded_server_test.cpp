// A server in shards gives the bits of one server, whatever it is asked for.

#include "runtime/server/sharded_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>

#include "tests/runtime/device/backends.h"
#include "tests/runtime/server/any_actions.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;

constexpr int worker_count = AnyActions::workers;

/// Five blocks, the last of which is not full.
constexpr std::size_t length = 4 * shard_block + 1027;

TEST(Shards, BeginAtBlocksAndHaveEveryElementOnce) {
  EXPECT_EQ(most_shards(0), 0U);
  EXPECT_EQ(most_shards(1), 1U);
  EXPECT_EQ(most_shards(shard_block), 1U);
  EXPECT_EQ(most_shards(shard_block + 1), 2U);
  for (const std::size_t dimension : {std::size_t{1}, shard_block, 7 * shard_block, 9 * shard_block + 5}) {
    for (std::size_t count = 1; count <= most_shards(dimension); ++count) {
      const std::vector<Shard> shards = cut_into_shards(dimension, count);
      ASSERT_EQ(shards.size(), count);
      std::size_t begin = 0;
      for (const Shard& shard : shards) {
        EXPECT_EQ(shard.begin, begin);
        EXPECT_EQ(shard.begin % shard_block, 0U);
        EXPECT_GT(shard.size, 0U);
        EXPECT_LE(most_shards(shard.size), most_shards(dimension) / count + 1);
        begin += shard.size;
      }
      EXPECT_EQ(begin, dimension);
    }
  }
}

/// A server in so many shards, or one that is whole, with gradients that come from a stream of their own and
/// are overwritten as soon as they are taken, and replicas that are read as soon as they are written.
class Rig {
 public:
  Rig(Backend backend, std::size_t shards, const ServerMemory& memory, const ServerOptions& options)
      : devices_(devices_of(backend)),
        home_(devices_[0], "home"),
        worker_(devices_[0], "worker"),
        gradient_(worker_, length),
        ready_(devices_[0]),
        taken_(devices_[0]) {
    if (shards == 0) {
      server = std::make_unique<Server>(home_, length, worker_count, memory, options);
      return;
    }
    for (std::size_t i = 0; i < shards; ++i) streams_.emplace_back(devices_[i % devices_.size()], "shard");
    const std::vector<StreamRef> streams(streams_.begin(), streams_.end());
    server = std::make_unique<ShardedServer>(home_, streams, length, worker_count, memory, options);
  }

  /// Returns the replicas that were written.
  std::vector<std::vector<float>> apply(const Actions& actions, const std::vector<float>& gradient,
                                        const std::vector<bool>& left_out) {
    const StreamRef worker = worker_;
    worker.wait(taken_);
    worker.copy(gradient_.ref(), host_view(gradient.data(), length));
    worker.record(ready_);
    std::vector<Replica*> replicas;
    for (const Action& action : actions) {
      if (!std::holds_alternative<HandOver>(action)) continue;
      const bool leave_out = replicas.size() < left_out.size() && left_out[replicas.size()];
      replicas.push_back(leave_out ? nullptr : replica(replicas.size()));
    }
    const ArrivedGradient arrived{gradient_.ref(), &ready_, nullptr, &taken_};
    server->apply(actions, 0.3, replicas, &arrived);
    worker.wait(taken_);
    worker.zero(gradient_.ref());
    std::vector<std::vector<float>> written;
    for (const Replica* const one : replicas) {
      if (!one) continue;
      worker.wait(one->written);
      worker.copy(host_view(written.emplace_back(length).data(), length), one->model);
      worker.synchronize();
    }
    worker.synchronize();
    return written;
  }

  std::vector<float> model() const {
    std::vector<float> values(length);
    server->read_model(values);
    return values;
  }

  /// ū and the rows that count in it.
  std::vector<std::vector<float>> mean_and_rows() const {
    std::vector<std::vector<float>> vectors;
    const auto keep = [&](std::span<const float> values) {
      vectors.emplace_back(values.begin(), values.end());
    };
    server->read_mean_and_rows(keep, keep);
    return vectors;
  }

  nlohmann::ordered_json state() const {
    StateArchive archive;
    server->visit_state(archive);
    return archive.json();
  }

 private:
  /// Two of the CPU, or all GPUs.
  static std::vector<Device> devices_of(Backend backend) {
    return parse_devices(backend == Backend::cpu ? "cpu:2" : "cuda");
  }

  /// On any of the devices.
  Replica* replica(std::size_t i) {
    while (replicas_.size() <= i) {
      const Device device = devices_[replicas_.size() % devices_.size()];
      memory_.push_back(std::make_unique<Stream>(device, "replica"));
      models_.emplace_back(*memory_.back(), length);
      memory_.back()->ref().synchronize();
      replicas_.push_back(std::make_unique<Replica>(models_.back().ref(), devices_[0]));
    }
    return replicas_[i].get();
  }

  std::vector<Device> devices_;
  Stream home_;
  std::vector<Stream> streams_;
  Stream worker_;
  Buffer<float> gradient_;
  Event ready_;
  Event taken_;
  std::vector<std::unique_ptr<Stream>> memory_;
  std::vector<Buffer<float>> models_;
  std::vector<std::unique_ptr<Replica>> replicas_;

 public:
  std::unique_ptr<ParameterServer> server;
};

class ShardedServerContract : public BackendTest {
 protected:
  static std::vector<float> rounded(const Vector& values) { return {values.begin(), values.end()}; }

  /// Any actions, carried out by one server and by shards.
  static void compare(const ServerMemory& memory, const ServerOptions& options) {
    for (const std::size_t shards : {1U, 2U, 5U}) {
      SCOPED_TRACE(::testing::Message() << shards << " shards");
      AnyActions any(static_cast<unsigned>(shards), true, memory.corrected);
      Rig one(GetParam(), 0, memory, options);
      Rig several(GetParam(), shards, memory, options);
      const std::vector<float> model = rounded(any.any_gradient(length));
      for (Rig* rig : {&one, &several}) rig->server->set_model(model);
      for (int i = 0; i < 25; ++i) {
        const std::vector<float> gradient = rounded(any.any_gradient(length));
        const Actions actions = any.next();
        const std::vector<bool> left_out = any.left_out();
        ASSERT_TRUE(several.apply(actions, gradient, left_out) == one.apply(actions, gradient, left_out));
      }
      EXPECT_EQ(several.server->version(), one.server->version());
      EXPECT_TRUE(several.model() == one.model());
      EXPECT_TRUE(several.mean_and_rows() == one.mean_and_rows());
      EXPECT_EQ(several.server->largest_drift(), one.server->largest_drift());
      EXPECT_EQ(several.state(), one.state());
    }
  }
};

/// The same, with kernels that use the memory of other GPUs wherever they can.
ServerOptions by_peer(ServerOptions options) {
  for (int server = 0; server < cuda_device_count(); ++server) {
    for (int worker = 0; worker < cuda_device_count(); ++worker) {
      const ServerAndWorkers pair{{Backend::cuda, server}, {Backend::cuda, worker}};
      if (server != worker && peer_access(pair.server, pair.workers)) {
        options.routes[pair] = GradientRoute::peer;
      }
    }
  }
  return options;
}

constexpr ServerMemory tables{.tables = 2, .mean = true};

TEST_P(ShardedServerContract, PlainSteps) { compare(tables, {}); }

TEST_P(ShardedServerContract, CorrectedMeansAndKeptRows) {
  compare({.tables = 2, .mean = true, .corrected = true, .kept_rows = worker_count}, {});
}

TEST_P(ShardedServerContract, MemoryOfOtherGpusWhereItLies) {
  compare(tables, by_peer({.momentum = 0.9, .clip_norm = 3}));
}

TEST_P(ShardedServerContract, MomentumDecayClippingAndRowsInBf16) {
  compare(tables, {.momentum = 0.9, .weight_decay = 0.01, .clip_norm = 3, .table_type = TableType::bf16});
}

TEST_P(ShardedServerContract, AdamWWithClippingAndResums) {
  compare(tables, {.optimizer = Optimizer::adamw, .weight_decay = 0.01, .clip_norm = 3, .resum_every = 3});
}

// The norm is that of the whole direction, where it is not finite, too.
TEST_P(ShardedServerContract, ANanInOneShardIsSeenByAll) {
  const ServerOptions options{.clip_norm = 1};
  Rig several(GetParam(), 3, {.tables = 0, .mean = false}, options);
  several.server->set_model(std::vector<float>(length));
  std::vector<float> gradient(length, 1.0F);
  gradient.back() = std::numeric_limits<float>::quiet_NaN();
  several.apply({Step{}}, gradient, {});
  EXPECT_TRUE(std::isnan(several.model().front()));
}

INSTANTIATE_TEST_SUITE_P(Backends, ShardedServerContract, every_backend(), backend_name);

}  // namespace
}  // namespace tardigrad
