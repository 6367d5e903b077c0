#include "runtime/server/replicated_server.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "runtime/coordinator/coordinator.h"
#include "tests/runtime/device/gpus.h"
#include "tests/support/chain.h"
#include "tests/support/experiment.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;

constexpr std::size_t replicated_length = 37;

/// For CPU streams: waits for all of them and adds up on the calling thread, in the order of the streams.
class HostCollectives final : public Collectives {
 public:
  explicit HostCollectives(std::span<const StreamRef> streams) : streams_(streams.begin(), streams.end()) {}

  void all_reduce(std::span<const BufferRef<float>> vectors) override {
    synchronize();
    for (std::size_t e = 0; e < vectors[0].size(); ++e) {
      float sum = 0;
      for (const auto& vector : vectors) sum += vector.data()[e];
      for (const auto& vector : vectors) vector.data()[e] = sum;
    }
    ++reductions;
  }
  void broadcast(std::span<const BufferRef<float>> vectors) override {
    synchronize();
    for (const auto& vector : vectors) std::copy_n(vectors[0].data(), vector.size(), vector.data());
  }

  int reductions = 0;

 private:
  void synchronize() const {
    for (const StreamRef stream : streams_) stream.synchronize();
  }
  std::vector<StreamRef> streams_;
};

/// Three devices, and gradients on any of them, beside one server that is told the same. All numbers are
/// small dyadic ones, so that sums are exact in any order.
class ReplicatedServers : public ::testing::Test {
 protected:
  static constexpr int devices = 3;

  explicit ReplicatedServers(const ServerOptions& options = {.momentum = 0.5, .weight_decay = 0.25})
      : alone_(streams_[0], replicated_length, 4, {.tables = 0, .mean = true}, options) {
    const std::vector<StreamRef> refs(streams_.begin(), streams_.end());
    auto collectives = std::make_unique<HostCollectives>(refs);
    collectives_ = collectives.get();
    server_ = std::make_unique<ReplicatedServer>(refs, std::move(collectives), replicated_length, 4, options);
    for (std::size_t i = 0; i < devices; ++i) {
      models_.emplace_back(streams_[i], replicated_length);
      replicas_.push_back(std::make_unique<Replica>(models_[i].ref(), streams_[i].ref().device()));
    }
    server_->set_model(values(1));
    alone_.set_model(values(1));
  }

  static std::vector<float> values(float first) {
    std::vector<float> values(replicated_length);
    for (std::size_t e = 0; e < replicated_length; ++e) values[e] = first + 0.25F * static_cast<float>(e);
    return values;
  }

  /// The same actions for both servers; hand-overs go to the replicas of the devices listed.
  void apply(const Actions& actions, int device, float gradient,
             const std::vector<std::size_t>& targets = {}) {
    const std::vector<float> numbers = values(gradient);
    const Device at{Backend::cpu, device};
    Event taken(at);
    std::vector<Replica*> replicas;
    for (const std::size_t target : targets) replicas.push_back(replicas_[target].get());
    const ArrivedGradient arrived{{numbers.data(), replicated_length, at}, nullptr, nullptr, &taken};
    server_->apply(actions, 0.5, replicas, &arrived);
    taken.synchronize();
    const std::vector<Replica*> none(targets.size());
    const ArrivedGradient same{{numbers.data(), replicated_length, at}};
    alone_.apply(actions, 0.5, none, &same);
    alone_.stream().synchronize();
  }

  std::vector<float> expected() {
    std::vector<float> model(replicated_length);
    alone_.read_model(model);
    return model;
  }

  std::vector<float> model() {
    std::vector<float> model(replicated_length);
    server_->read_model(model);
    return model;
  }

  std::vector<float> replica(std::size_t i) const {
    replicas_[i]->written.synchronize();
    return {replicas_[i]->model.data(), replicas_[i]->model.data() + replicated_length};
  }

  std::array<Stream, devices> streams_ = {Stream({Backend::cpu, 0}, "0"), Stream({Backend::cpu, 1}, "1"),
                                          Stream({Backend::cpu, 2}, "2")};
  HostCollectives* collectives_ = nullptr;
  Server alone_;
  std::unique_ptr<ReplicatedServer> server_;
  std::vector<Buffer<float>> models_;
  std::vector<std::unique_ptr<Replica>> replicas_;
};

const Accumulate first{.weight = 0.25F, .restart = true};
const Accumulate further{.weight = 0.25F, .restart = false};

TEST_F(ReplicatedServers, StepsAlongTheSumOfAllDevices) {
  for (const float round : {1.0F, -2.0F, 4.0F}) {
    apply({first}, 2, round);
    apply({further}, 0, 2 * round);
    apply({further}, 2, -1);
    apply({further, Step{}, HandOver{0}, HandOver{1}, HandOver{2}}, 1, 8, {0, 1, 2});
    EXPECT_EQ(model(), expected());
    for (std::size_t i = 0; i < devices; ++i) EXPECT_EQ(replica(i), expected()) << i;
  }
  EXPECT_EQ(server_->version(), 3U);
  EXPECT_EQ(collectives_->reductions, 3);
}

// Devices 0 and 1 hold the sums of a round before, which must not count again.
TEST_F(ReplicatedServers, ADeviceWithoutAGradientAddsZeros) {
  apply({first}, 0, 1);
  apply({further, Step{}}, 1, 2);
  apply({first}, 2, 3);
  apply({further, Step{}}, 2, 5);
  EXPECT_EQ(model(), expected());
}

// In sync a round that a worker is lost in; there is no gradient when it ends.
TEST_F(ReplicatedServers, ScalesWhatEachDeviceHas) {
  for (const float round : {1.0F, -2.0F}) {
    apply({first}, 2, round);
    apply({further}, 0, 2 * round);
    server_->apply({ScaleMean{2}, Step{}}, 0.5, {}, nullptr);
    alone_.apply({ScaleMean{2}, Step{}}, 0.5, {}, nullptr);
    EXPECT_EQ(model(), expected());
  }
}

TEST_F(ReplicatedServers, NullReplicasAndDiscardsAreLeftOut) {
  const std::vector<float> before = values(1);
  server_->apply({HandOver{0}, Discard{1}, HandOver{1}}, 0.5,
                 std::array<Replica*, 2>{nullptr, replicas_[1].get()}, nullptr);
  EXPECT_EQ(replica(1), before);
  EXPECT_TRUE(replicas_[0]->written.complete());
}

TEST_F(ReplicatedServers, RefusesWhatNeedsOneServer) {
  const std::vector<float> numbers = values(1);
  const ArrivedGradient arrived{{numbers.data(), replicated_length, {Backend::cpu, 0}}};
  EXPECT_THROW(server_->apply({FoldRow{0}}, 1, {}, &arrived), std::logic_error);
  EXPECT_THROW(server_->apply({AverageRows{}}, 1, {}, &arrived), std::logic_error);
  EXPECT_THROW(server_->apply({CountRow{0}}, 1, {}, &arrived), std::logic_error);
  EXPECT_THROW(server_->apply({first, Step{}, further}, 1, {}, &arrived), std::logic_error);
  const ArrivedGradient elsewhere{{numbers.data(), replicated_length, {Backend::cpu, 7}}};
  EXPECT_THROW(server_->apply({first}, 1, {}, &elsewhere), std::logic_error);
}

TEST(Collectives, AreNotForTheCpu) {
  const Stream stream({Backend::cpu, 0}, "cpu");
  const std::array<StreamRef, 1> streams = {stream};
  EXPECT_THROW(make_collectives(streams), std::logic_error);
  EXPECT_THROW(make_collectives_id(stream.ref().device()), std::logic_error);
  EXPECT_THROW(join_collectives(stream, {}, 0, 1), std::logic_error);
}

/// The method sync, over NCCL and by one server, on as many GPUs.
class SyncOverNccl : public ::testing::Test {
 protected:
  static constexpr int workers = 5;
  static constexpr std::size_t size = 3001;

  static std::vector<float> run(int gpus, bool replicated, const RunOptions& options) {
    std::vector<Device> all;
    for (int i = 0; i < gpus; ++i) all.push_back({Backend::cuda, i});
    Devices devices(std::move(all));
    devices.replicated = replicated;
    Chain objective(workers, size);
    const auto method = make_method("sync", {.workers = workers});
    const Delays delays = Delays::parse("linear:1:1", workers, 0);
    const EventScript speeds;
    Coordinator coordinator(objective, *method,
                            make_execution(objective, method->memory(), delays, speeds, devices, options),
                            options, {});
    std::vector<float> model(size, 0.3F);
    coordinator.run(model, {});
    return model;
  }

  /// Sums of 5 numbers in another order differ by 4 roundings, of 2⁻²⁴ of their size (1) each, in every step;
  /// steps of 0.1 shrink what was there before, and momentum makes each count at most 1/(1 − μ) = 2 times.
  static void expect_equal_up_to_rounding(const std::vector<float>& actual,
                                          const std::vector<float>& expected) {
    constexpr double tolerance = 30 * 4 * 2 * 6e-8;
    for (std::size_t e = 0; e < size; ++e) ASSERT_NEAR(actual[e], expected[e], tolerance) << e;
  }

  static RunOptions options(ClockKind clock) {
    RunOptions options = clock == ClockKind::wall ? in_wall_time(30) : in_virtual_time(30);
    options.lr = 0.1;
    options.time_unit_s = 1e-4;
    options.server = {.momentum = 0.5, .weight_decay = 0.01, .clip_norm = 20};
    return options;
  }
};

class SyncOverNcclOnGpus : public SyncOverNccl, public ::testing::WithParamInterface<int> {
 protected:
  void SetUp() override {
    if (cuda_device_count() < GetParam()) {
      GTEST_SKIP() << "needs " << GetParam() << " GPUs, and there are " << cuda_device_count();
    }
  }
};

TEST_P(SyncOverNcclOnGpus, GivesTheModelOfOneServer) {
  for (const ClockKind clock : {ClockKind::virtual_time, ClockKind::wall}) {
    const std::vector<float> expected = run(1, false, options(clock));
    EXPECT_GT(std::abs(expected[0] - 0.3F), 1e-3);
    expect_equal_up_to_rounding(run(GetParam(), true, options(clock)), expected);
  }
}

TEST_P(SyncOverNcclOnGpus, RepeatsToTheBitInVirtualTime) {
  const RunOptions virtual_time = options(ClockKind::virtual_time);
  EXPECT_EQ(run(GetParam(), true, virtual_time), run(GetParam(), true, virtual_time));
}

INSTANTIATE_TEST_SUITE_P(Some, SyncOverNcclOnGpus, ::testing::Values(1, 2, 3, 4));

}  // namespace
}  // namespace tardigrad
