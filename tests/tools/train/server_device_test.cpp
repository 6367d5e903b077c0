// Where the server is, and how it gets at gradients: none of it changes a bit in virtual time.

#include <gmock/gmock.h>

#include <cmath>
#include <map>

#include "runtime/device/device.h"
#include "tests/support/program.h"

namespace tardigrad {
namespace {

using testing::Finished;
using ::testing::HasSubstr;

class ServerDevice : public testing::ProgramTest {
 protected:
  /// The model that a run with these options leaves; its record in `run_`.
  std::string bytes(const std::string& options, int dimension = 3001) {
    const Finished run = tardigrad(
        "train --model quadratic:tridiagonal:" + std::to_string(dimension) +
        ":noise=0.1 --workers 5 --method dude --lr 0.01 --updates 60 --clock virtual --compute-time "
        "linear:1:1 --momentum 0.9 --save x.safetensors --log x.jsonl " +
        options);
    EXPECT_EQ(run.exit_code, 0) << options << ": " << run.err;
    if (run.exit_code != 0) return options;
    run_ = testing::records_of(path("x.jsonl"), "run").at(0);
    return testing::read_file(path("x.safetensors"));
  }

  nlohmann::json run_;
};

TEST_F(ServerDevice, IsNoMatterOnTheCpu) {
  const std::string expected = bytes("--device cpu:2");
  EXPECT_EQ(run_.at("server"), "cpu:0");
  EXPECT_FALSE(run_.contains("gradient_routes"));
  EXPECT_TRUE(bytes("--device cpu:2 --server-device cpu:7") == expected);
  EXPECT_EQ(run_.at("server"), "cpu:7");
}

TEST_F(ServerDevice, MayBeInShards) {
  constexpr int three_blocks = 9001;
  for (const std::string device : {"cpu:2", "auto"}) {
    const std::string on = "--clip-norm 1 --verify --device " + device;
    const std::string expected = bytes(on, three_blocks);
    EXPECT_EQ(run_.at("server_shards"), 1);
    EXPECT_TRUE(bytes(on + " --server-shards 3", three_blocks) == expected) << device;
    EXPECT_EQ(run_.at("server_shards"), 3);
  }
}

// Its part of the model and of the table is reckoned for each GPU.
TEST_F(ServerDevice, ShardsAreShownWithTheMemoryTheyTake) {
  if (cuda_device_count() < 2) GTEST_SKIP() << "needs 2 GPUs, and there are " << cuda_device_count();
  const Finished run = tardigrad(
      "train --model quadratic:tridiagonal:8192 --workers 2 --method dude --lr 0.01 --updates 1 --device "
      "cuda:0,1 --server-shards 2 --show-memory");
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out + run.err, ::testing::ContainsRegex("cuda:1 +16.0 KiB  model"));
}

TEST_F(ServerDevice, HasAsManyWorkersOnEachDeviceAsAsked) {
  const auto devices = [&](const std::string& options) {
    const Finished run = tardigrad(
        "train --model quadratic:tridiagonal:50 --workers 5 --method dude --lr 0.01 --updates 10 --log "
        "x.jsonl " +
        options);
    EXPECT_EQ(run.exit_code, 0) << run.err;
    std::map<std::string, int> workers;
    for (const auto& worker : testing::records_of(path("x.jsonl"), "worker")) ++workers[worker.at("device")];
    return workers;
  };
  using Workers = std::map<std::string, int>;
  EXPECT_EQ(devices("--device cpu:2"), (Workers{{"cpu:0", 3}, {"cpu:1", 2}}));
  EXPECT_EQ(devices("--device cpu:2 --workers-per-device 1,4"), (Workers{{"cpu:0", 1}, {"cpu:1", 4}}));
  EXPECT_EQ(devices("--device cpu:3 --workers-per-device 1,3,1"),
            (Workers{{"cpu:0", 1}, {"cpu:1", 3}, {"cpu:2", 1}}));
  if (cuda_device_count() < 2) return;
  const std::string expected = bytes("--device cuda:0");
  EXPECT_EQ(devices("--device cuda:0,1 --workers-per-device 4,1"), (Workers{{"cuda:0", 4}, {"cuda:1", 1}}));
  EXPECT_TRUE(bytes("--device cuda:0,1 --workers-per-device 1,4") == expected);
}

TEST_F(ServerDevice, RefusesCountsOfWorkersThatDoNotFit) {
  const auto refused = [&](const std::string& options) {
    const Finished run =
        tardigrad("train --model quadratic:tridiagonal:50 --method dude --lr 0.01 --updates 1 " + options);
    EXPECT_EQ(run.exit_code, 2) << options;
    return run.err;
  };
  for (const std::string counts : {"4", "4,0", "4,1,1", "4,", ",4", "4,x", "4,1.5", "-1,6"}) {
    EXPECT_THAT(refused("--workers 5 --device cpu:2 --workers-per-device=" + counts),
                HasSubstr("expected a whole number, 1 or more, for each of the 2 devices"))
        << counts;
  }
  EXPECT_THAT(refused("--workers 6 --device cpu:2 --workers-per-device 4,1"),
              HasSubstr("5 in all, and the run has 6 workers"));
  EXPECT_THAT(refused("--workers 5 --device cpu:2 --workers-per-device 4,1 --clock virtual --compute-time 1"),
              HasSubstr("has no use in virtual time on CPUs"));
}

TEST_F(ServerDevice, MayBeAGpuWithoutWorkers) {
  if (cuda_device_count() < 3) GTEST_SKIP() << "needs 3 GPUs, and there are " << cuda_device_count();
  const std::string expected = bytes("--device cuda:0");
  EXPECT_TRUE(bytes("--device cuda:0,1,2") == expected);
  EXPECT_EQ(run_.at("gradient_routes").size(), 2U);
  EXPECT_TRUE(bytes("--device cuda:1,2 --server-device cuda:0") == expected);
  EXPECT_EQ(run_.at("server"), "cuda:0");
  EXPECT_EQ(run_.at("gradient_routes").size(), 2U);
  EXPECT_TRUE(bytes("--device cuda:1,2 --server-device cuda:2") == expected);
  EXPECT_EQ(run_.at("gradient_routes").size(), 1U);
}

TEST_F(ServerDevice, IsNoneWhereEveryGpuKeepsTheModel) {
  if (cuda_device_count() == 0) GTEST_SKIP() << "no GPU: " << why_no_cuda();
  const std::string sync =
      "train --model quadratic:tridiagonal:3001 --workers 5 --method sync --lr 0.1 --updates 60 --device "
      "cuda "
      "--clock virtual --compute-time linear:1:1 --log x.jsonl ";
  const auto final_loss = [&](const std::string& over) {
    const Finished run = tardigrad(sync + over);
    EXPECT_EQ(run.exit_code, 0) << over << ": " << run.err;
    run_ = testing::records_of(path("x.jsonl"), "run").at(0);
    return testing::records_of(path("x.jsonl"), "summary").at(0).at("final_loss").get<double>();
  };
  const double by_server = final_loss("--sync-over server");
  EXPECT_EQ(run_.at("server"), "cuda:0");
  const double over_nccl = final_loss("--sync-over nccl");
  EXPECT_FALSE(run_.contains("server"));
  EXPECT_NEAR(over_nccl, by_server, 1e-5 * std::abs(by_server));  // 60 steps of float32
  const Finished refused = tardigrad(sync + "--sync-over nccl --server-device cuda:0");
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err, HasSubstr("--server-device has no use with --sync-over nccl"));
  const Finished sharded = tardigrad(sync + "--sync-over nccl --server-shards 2");
  EXPECT_EQ(sharded.exit_code, 2);
  EXPECT_THAT(sharded.err, HasSubstr("--server-shards has no use with --sync-over nccl"));
}

TEST_F(ServerDevice, RoutesGiveTheSameBits) {
  if (cuda_device_count() < 2) GTEST_SKIP() << "needs 2 GPUs, and there are " << cuda_device_count();
  const std::string expected = bytes("--device cuda:0,1 --gradient-route copy");
  EXPECT_EQ(run_.at("gradient_routes").at("cuda:1"), "copy");
  if (!peer_access({Backend::cuda, 0}, {Backend::cuda, 1})) GTEST_SKIP() << "the GPUs are not peers";
  EXPECT_TRUE(bytes("--device cuda:0,1 --gradient-route peer") == expected);
  EXPECT_EQ(run_.at("gradient_routes").at("cuda:1"), "peer");
}

}  // namespace
}  // namespace tardigrad
