#include "runtime/server/server.h"

#include <gtest/gtest.h>

#include <numeric>

#include "tests/runtime/device/backends.h"
#include "tests/runtime/server/server_rig.h"
#include "tests/support/gate.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;

/// A server, workers' buffers, and the same arithmetic by plain loops. All numbers are small dyadic ones, so
/// both are exact and must agree to the bit.
class ServerContract : public BackendTest {
 protected:
  void SetUp() override {
    BackendTest::SetUp();
    if (IsSkipped()) return;
    stream_.emplace(device(), "worker");
    server_stream_.emplace(device(), "server");
    for (std::size_t i = 0; i < static_cast<std::size_t>(workers); ++i) {
      models_.emplace_back(*stream_, server_dimension);
      replicas_.push_back(std::make_unique<Replica>(models_.back().ref(), device()));
      gradients_.emplace_back(*stream_, server_dimension);
    }
    stream_->ref().synchronize();
  }

  static constexpr int workers = 2;
  static constexpr double lr = 0.5;

  Server make_server(ServerMemory memory, const ServerOptions& options = {}) {
    return Server(*server_stream_, server_dimension, workers, memory, options);
  }

  static std::vector<float> vector_from(float first) {
    std::vector<float> values(server_dimension);
    std::iota(values.begin(), values.end(), first);
    return values;
  }

  /// Applies the actions to worker's gradient, which is first, first + 1, …
  void arrive(Server& server, std::size_t worker, float first, const Actions& actions) {
    const std::vector<float> values = vector_from(first);
    Event ready(device());
    stream_->ref().copy(gradients_[worker].ref(), host_view(values.data(), server_dimension));
    stream_->ref().record(ready);
    const ArrivedGradient gradient{gradients_[worker].ref(), &ready};
    server.apply(actions, lr, replicas_of(actions), &gradient);
    server.stream().synchronize();
  }

  std::vector<Replica*> replicas_of(const Actions& actions) {
    std::vector<Replica*> replicas;
    for (const Action& action : actions) {
      if (const auto* to = std::get_if<HandOver>(&action)) {
        replicas.push_back(replicas_[static_cast<std::size_t>(to->worker)].get());
      }
    }
    return replicas;
  }

  float model_at_0(Server& server) const {
    std::vector<float> model(server_dimension);
    server.read_model(model);
    for (std::size_t i = 1; i < server_dimension; ++i) {
      EXPECT_EQ(model[i] - model[i - 1], model[1] - model[0]);
    }
    return model[0];
  }

  float replica_at_0(std::size_t worker) {
    std::vector<float> replica(server_dimension);
    stream_->ref().copy(host_view(replica.data(), server_dimension), replicas_[worker]->model);
    stream_->ref().synchronize();
    return replica[0];
  }

  std::optional<Stream> stream_;
  std::optional<Stream> server_stream_;
  std::vector<Buffer<float>> models_;
  std::vector<std::unique_ptr<Replica>> replicas_;
  std::vector<Buffer<float>> gradients_;
};

TEST_P(ServerContract, HandsOverTheFirstModel) {
  Server server = make_server({});
  server.set_model(vector_from(3));
  const Actions actions{HandOver{0}, HandOver{1}};
  server.apply(actions, lr, replicas_of(actions), nullptr);
  replicas_[1]->written.synchronize();
  EXPECT_EQ(replica_at_0(0), 3);
  EXPECT_EQ(replica_at_0(1), 3);
}

TEST_P(ServerContract, StepsAlongTheGradient) {
  Server server = make_server({});
  server.set_model(vector_from(3));
  arrive(server, 1, 8, {Step{}, HandOver{1}});
  EXPECT_EQ(model_at_0(server), 3 - 0.5F * 8);
  EXPECT_EQ(replica_at_0(1), -1);
  arrive(server, 1, 8, {Step{0.25}});
  EXPECT_EQ(model_at_0(server), -1 - 0.125F * 8);
}

TEST_P(ServerContract, AccumulatesAMeanThatARestartForgets) {
  Server server = make_server({.mean = true});
  server.set_model(vector_from(0));
  for (int round = 1; round <= 2; ++round) {
    arrive(server, 0, 4, {Accumulate{0.5F, true}});
    arrive(server, 1, 8, {Accumulate{0.5F, false}, Step{}, HandOver{0}, HandOver{1}});
    EXPECT_EQ(model_at_0(server), -0.5F * 6 * static_cast<float>(round));
    EXPECT_EQ(replica_at_0(0), model_at_0(server));
    EXPECT_EQ(replica_at_0(1), model_at_0(server));
  }
}

TEST_P(ServerContract, RowsAreReplacedInTheMean) {
  Server server = make_server({.tables = 1, .mean = true});
  server.set_model(vector_from(0));
  arrive(server, 0, 4, {FoldRow{0}});
  arrive(server, 1, 8, {FoldRow{1}, Step{}, HandOver{1}});  // mean 6
  EXPECT_EQ(model_at_0(server), -3);
  arrive(server, 1, 16, {FoldRow{1}, Step{}, HandOver{1}});  // mean 10
  EXPECT_EQ(model_at_0(server), -8);
  EXPECT_EQ(replica_at_0(1), -8);
  arrive(server, 0, 0, {FoldRow{0}, Step{}, HandOver{0}});  // mean 8
  EXPECT_EQ(model_at_0(server), -12);
}

TEST(ServerOnAStream, SaysOfEachPartOfAReplicaWhenItIsWritten) {
  constexpr std::size_t dimension = 10;  // parts of 4, 4 and 2
  Stream stream(Device{}, "server");
  Server server(stream, dimension, 1, {}, {});
  std::vector<float> gradient(dimension);
  std::vector<float> model(dimension);
  Replica replica(host_view(model.data(), dimension), Device{}, 4);
  Replica* const target = &replica;
  for (const Actions& actions : {Actions{Step{}, HandOver{0}}, Actions{HandOver{0}}}) {
    Gate gate;
    stream.ref().host("gate", gate.pass());
    const ArrivedGradient arrived{.values = host_view(gradient.data(), dimension)};
    server.apply(actions, 1, {&target, 1}, &arrived);
    for (const Event& part : replica.parts_written) EXPECT_FALSE(part.complete());
    gate.open();
    stream.ref().synchronize();
    for (const Event& part : replica.parts_written) EXPECT_TRUE(part.complete());
  }
}

TEST_P(ServerContract, AHandOverBeforeAStepCarriesTheModelOfThatMoment) {
  Server server = make_server({.mean = true});
  server.set_model(vector_from(1));
  arrive(server, 0, 2, {HandOver{0}, Accumulate{1, true}, Step{}, HandOver{1}});
  EXPECT_EQ(replica_at_0(0), 1);
  EXPECT_EQ(replica_at_0(1), 0);
}

INSTANTIATE_TEST_SUITE_P(Backends, ServerContract, every_backend(), backend_name);

}  // namespace
}  // namespace tardigrad
