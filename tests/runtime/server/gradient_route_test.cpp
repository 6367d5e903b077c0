#include "runtime/server/gradient_route.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <memory>

#include "runtime/server/server.h"
#include "tests/runtime/device/gpus.h"

namespace tardigrad {
namespace {

using ::testing::HasSubstr;

TEST(GradientRoutes, CpuDevicesNeedNone) {
  const Devices devices({{Backend::cpu, 0}, {Backend::cpu, 1}}, {Backend::cpu, 5});
  EXPECT_TRUE(choose_routes(devices, 10, std::nullopt).empty());
  EXPECT_TRUE(choose_routes(devices, 10, GradientRoute::peer).empty());
}

class TwoGpus : public testing::GpusTest<2> {
 protected:
  static constexpr std::size_t dimension = 10'001;
  static constexpr int arrivals = 20;

  /// All replicas that arrivals of a worker on GPU `worker` are answered with, and the last model.
  static std::vector<std::vector<float>> run(int worker, const ServerOptions& options) {
    const Stream server_stream(gpu(0), "server");
    const Stream stream(gpu(worker), "worker");
    Server server(server_stream, dimension, 3, {.tables = 1, .mean = true}, options);
    server.set_model(values(-1));
    Buffer<float> gradient(stream, dimension);
    Buffer<float> model(stream, dimension);
    stream.ref().synchronize();
    Replica replica(model.ref(), gpu(0));
    Event ready(gpu(worker));
    Event taken(gpu(0));
    std::vector<std::vector<float>> seen(arrivals + 1, std::vector<float>(dimension));
    for (int i = 0; i < arrivals; ++i) {
      const std::vector<float> arriving = values(i);
      stream.ref().wait(taken);
      stream.ref().copy(gradient.ref(), host_view(arriving.data(), dimension));
      stream.ref().record(ready);
      const ArrivedGradient arrived{gradient.ref(), &ready};
      const std::array<Replica*, 1> replicas = {&replica};
      server.apply({FoldRow{i % 3}, Step{}, HandOver{0}}, 0.1, replicas, &arrived);
      server.stream().record(taken);
      stream.ref().wait(replica.written);
      auto& handed_over = seen[static_cast<std::size_t>(i)];
      stream.ref().copy(host_view(handed_over.data(), dimension), model.ref());
      stream.ref().synchronize();
    }
    server.read_model(seen.back());
    return seen;
  }

  static std::vector<float> values(int seed) {
    std::vector<float> values(dimension);
    for (std::size_t e = 0; e < dimension; ++e) {
      values[e] = static_cast<float>(std::sin(static_cast<double>(e) + 100.0 * seed));
    }
    return values;
  }

  static ServerOptions by(GradientRoute route, ServerOptions options = {}) {
    options.routes = {{{gpu(0), gpu(1)}, route}};
    return options;
  }
};

TEST_F(TwoGpus, CopiesGiveTheBitsOfOneGpu) {
  EXPECT_EQ(run(1, by(GradientRoute::copy)), run(0, {}));
  const ServerOptions options{.momentum = 0.9, .weight_decay = 0.01, .clip_norm = 3};
  EXPECT_EQ(run(1, by(GradientRoute::copy, options)), run(0, options));
}

TEST_F(TwoGpus, PeerAccessGivesTheBitsOfCopies) {
  if (!peer_access(gpu(0), gpu(1))) GTEST_SKIP() << "cuda:0 has no access to the memory of cuda:1";
  EXPECT_EQ(run(1, by(GradientRoute::peer)), run(1, by(GradientRoute::copy)));
  const ServerOptions options{.momentum = 0.9, .table_type = TableType::bf16, .resum_every = 7};
  EXPECT_EQ(run(1, by(GradientRoute::peer, options)), run(1, by(GradientRoute::copy, options)));
}

TEST_F(TwoGpus, TheFasterRouteIsMeasuredWhereThereIsPeerAccess) {
  const Devices devices({gpu(0), gpu(1)}, gpu(0));
  const GradientRoutes routes = choose_routes(devices, dimension, std::nullopt);
  ASSERT_EQ(routes.size(), 1U);
  EXPECT_EQ(choose_routes(devices, dimension, std::nullopt), routes);
  EXPECT_EQ(choose_routes(devices, dimension, GradientRoute::copy).at({gpu(0), gpu(1)}), GradientRoute::copy);
  if (!peer_access(gpu(0), gpu(1))) {
    EXPECT_EQ(routes.at({gpu(0), gpu(1)}), GradientRoute::copy);
  }
}

TEST_F(TwoGpus, PeerIsRefusedWhereThereIsNoAccess) {
  if (peer_access(gpu(0), gpu(1))) GTEST_SKIP() << "cuda:0 has access to the memory of cuda:1";
  try {
    choose_routes(Devices({gpu(1)}, gpu(0)), dimension, GradientRoute::peer);
    FAIL() << "accepted";
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), HasSubstr("cuda:0 has no access to the memory of cuda:1"));
  }
}

}  // namespace
}  // namespace tardigrad
