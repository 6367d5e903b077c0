#include <gtest/gtest.h>
#include <nccl.h>

#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "tests/cuda_emulation/device_array.h"

namespace tardigrad::emulation {
namespace {

constexpr std::size_t count = 5;

/// A rank on a device of its own: a stream, what it sends and what it receives.
struct Rank {
  int index;
  std::unique_ptr<Stream> stream;
  std::unique_ptr<DeviceArray> send;
  std::unique_ptr<DeviceArray> receive;
  ncclComm_t comm = nullptr;

  Rank(int index_, Format format) : index(index_) {
    expect_cuda(cudaSetDevice(index));
    stream = std::make_unique<Stream>();
    send = std::make_unique<DeviceArray>(format, full_numbers(count, static_cast<unsigned>(index + 1)));
    receive = std::make_unique<DeviceArray>(format, std::vector<float>(count, -7));
  }
};

class Nccl : public testing::Test {
 protected:
  std::vector<Rank> ranks;

  void start(Format format = Format::fp32) {
    int devices = 0;
    expect_cuda(cudaGetDeviceCount(&devices));
    ASSERT_GE(devices, 2);
    std::vector<ncclComm_t> comms(static_cast<std::size_t>(devices));
    ASSERT_EQ(ncclCommInitAll(comms.data(), devices, nullptr), ncclSuccess);
    for (int i = 0; i < devices; ++i) ranks.emplace_back(i, format).comm = comms[static_cast<std::size_t>(i)];
    expect_cuda(cudaSetDevice(0));
  }
  void stop() {
    for (const Rank& rank : ranks) ncclCommDestroy(rank.comm);
    ranks.clear();
  }
  void TearDown() override { stop(); }
  void synchronize() {
    for (const Rank& rank : ranks) rank.stream->synchronize();
  }
  static ncclResult_t all_reduce(const Rank& rank, ncclRedOp_t operation, ncclDataType_t type = ncclFloat32,
                                 std::size_t size = count) {
    return ncclAllReduce(rank.send->data(), rank.receive->data(), size, type, operation, rank.comm,
                         *rank.stream);
  }
  /// Calls `issue` for every rank, as one group.
  template <typename Issue>
  void as_group(Issue issue) {
    ASSERT_EQ(ncclGroupStart(), ncclSuccess);
    for (const Rank& rank : ranks) ASSERT_EQ(issue(rank), ncclSuccess);
    ASSERT_EQ(ncclGroupEnd(), ncclSuccess);
  }
  /// Element i, added in the order of the ranks, rounded to `format` each time.
  float sum(std::size_t i, Format format, float scale = 1) {
    float result = 0;
    for (const Rank& rank : ranks) {
      const float addend = stored(format, scale * rank.send->values()[i]);
      result = rank.index == 0 ? addend : stored(format, result + addend);
    }
    return result;
  }
};

TEST_F(Nccl, RanksKnowWhereTheyAre) {
  start();
  for (const Rank& rank : ranks) {
    int value = -1;
    EXPECT_EQ(ncclCommUserRank(rank.comm, &value), ncclSuccess);
    EXPECT_EQ(value, rank.index);
    EXPECT_EQ(ncclCommCuDevice(rank.comm, &value), ncclSuccess);
    EXPECT_EQ(value, rank.index);
    EXPECT_EQ(ncclCommCount(rank.comm, &value), ncclSuccess);
    EXPECT_EQ(value, static_cast<int>(ranks.size()));
  }
}

TEST_F(Nccl, AllReduceGivesEveryRankTheSumInTheOrderOfTheRanks) {
  for (const Format format : {Format::fp32, Format::bf16}) {
    stop();
    start(format);
    const auto type = format == Format::fp32 ? ncclFloat32 : ncclBfloat16;
    as_group([&](const Rank& rank) { return all_reduce(rank, ncclSum, type); });
    synchronize();
    for (const Rank& rank : ranks) {
      for (std::size_t i = 0; i < count; ++i) EXPECT_EQ(rank.receive->values()[i], sum(i, format));
    }
  }
}

TEST_F(Nccl, AverageAddsWhatWasDivided) {
  start();
  as_group([](const Rank& rank) { return all_reduce(rank, ncclAvg); });
  synchronize();
  const float share = 1 / static_cast<float>(ranks.size());
  for (std::size_t i = 0; i < count; ++i) {
    // Division and addition may be one instruction, which rounds once.
    EXPECT_NEAR(ranks[1].receive->values()[i], sum(i, Format::fp32, share), 1e-6F);
  }
}

TEST_F(Nccl, InPlaceOperationsAndThoseThatFollowMeetInTheirOrder) {
  start();
  std::vector<float> wanted(count);
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t rank = 0; rank < ranks.size(); ++rank) wanted[i] += sum(i, Format::fp32);
  }
  for (int i = 0; i < 2; ++i) {
    as_group([](const Rank& rank) {
      return ncclAllReduce(rank.send->data(), rank.send->data(), count, ncclFloat32, ncclSum, rank.comm,
                           *rank.stream);
    });
  }
  synchronize();
  for (const Rank& rank : ranks) EXPECT_EQ(rank.send->values(), wanted);
}

TEST_F(Nccl, ThreadsMayCallForARankEachWithoutAGroup) {
  start();
  std::vector<std::thread> threads;
  for (const Rank& rank : ranks) {
    threads.emplace_back([&rank] {
      for (int i = 0; i < 100; ++i) EXPECT_EQ(all_reduce(rank, ncclSum), ncclSuccess);
    });
  }
  for (std::thread& thread : threads) thread.join();
  synchronize();
  for (const Rank& rank : ranks) EXPECT_EQ(rank.receive->values()[0], sum(0, Format::fp32));
}

TEST_F(Nccl, OneThreadForSeveralRanksWithoutAGroupIsAnError) {
  start();
  EXPECT_EQ(all_reduce(ranks[0], ncclSum), ncclSuccess);
  EXPECT_EQ(all_reduce(ranks[1], ncclSum), ncclInvalidUsage);
  EXPECT_NE(std::string(ncclGetLastError(nullptr)).find("ncclGroupStart"), std::string::npos);
  // The first call waits on its stream until it is given up.
  ncclCommAbort(ranks[0].comm);
  ranks[0].comm = nullptr;
  synchronize();
  EXPECT_EQ(ranks[0].receive->values()[0], -7.0F);
}

TEST_F(Nccl, BroadcastAndReduceHaveARoot) {
  start();
  as_group([](const Rank& rank) {
    return ncclBroadcast(rank.send->data(), rank.receive->data(), count, ncclFloat32, 1, rank.comm,
                         *rank.stream);
  });
  synchronize();
  for (const Rank& rank : ranks) EXPECT_EQ(rank.receive->values(), ranks[1].send->values());
  as_group([](const Rank& rank) {
    return ncclReduce(rank.send->data(), rank.index == 0 ? rank.receive->data() : nullptr, count, ncclFloat32,
                      ncclSum, 0, rank.comm, *rank.stream);
  });
  synchronize();
  EXPECT_EQ(ranks[0].receive->values()[3], sum(3, Format::fp32));
  EXPECT_EQ(ranks[1].receive->values(), ranks[1].send->values()) << "only the root receives";
}

TEST_F(Nccl, RanksThatDisagreeGetAnError) {
  start();
  as_group([](const Rank& rank) {
    return all_reduce(rank, ncclSum, ncclFloat32, rank.index == 0 ? count : count - 1);
  });
  synchronize();
  ncclResult_t error = ncclSuccess;
  EXPECT_EQ(ncclCommGetAsyncError(ranks[0].comm, &error), ncclSuccess);
  EXPECT_EQ(error, ncclInvalidUsage);
  EXPECT_EQ(ranks[0].receive->values()[0], -7.0F);
}

TEST_F(Nccl, GraphsOfTheRanksMeetAtEachLaunch) {
  start();
  std::vector<cudaGraphExec_t> executables;
  for (const Rank& rank : ranks) {
    ASSERT_EQ(cudaSetDevice(rank.index), cudaSuccess);
    ASSERT_EQ(cudaStreamBeginCapture(*rank.stream, cudaStreamCaptureModeThreadLocal), cudaSuccess);
  }
  as_group([](const Rank& rank) {
    return ncclAllReduce(rank.send->data(), rank.send->data(), count, ncclFloat32, ncclSum, rank.comm,
                         *rank.stream);
  });
  for (const Rank& rank : ranks) {
    cudaGraph_t graph = nullptr;
    ASSERT_EQ(cudaStreamEndCapture(*rank.stream, &graph), cudaSuccess);
    ASSERT_EQ(cudaSetDevice(rank.index), cudaSuccess);
    ASSERT_EQ(cudaGraphInstantiate(&executables.emplace_back(), graph, 0), cudaSuccess);
    cudaGraphDestroy(graph);
  }
  float wanted = 0;
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) wanted += sum(2, Format::fp32);
  for (int i = 0; i < 2; ++i) {
    for (const Rank& rank : ranks) {
      ASSERT_EQ(cudaGraphLaunch(executables[static_cast<std::size_t>(rank.index)], *rank.stream),
                cudaSuccess);
    }
  }
  synchronize();
  EXPECT_EQ(ranks[1].send->values()[2], wanted);
  for (const cudaGraphExec_t executable : executables) cudaGraphExecDestroy(executable);
  ASSERT_EQ(cudaSetDevice(0), cudaSuccess);
}

TEST_F(Nccl, RefusesWhatMakesNoSense) {
  start();
  EXPECT_EQ(ncclGroupEnd(), ncclInvalidUsage);
  EXPECT_EQ(all_reduce(ranks[0], ncclSum, ncclInt32), ncclInvalidArgument);
  EXPECT_EQ(ncclBroadcast(ranks[0].send->data(), ranks[0].receive->data(), count, ncclFloat32, 99,
                          ranks[0].comm, *ranks[0].stream),
            ncclInvalidArgument);
  EXPECT_EQ(ncclAllReduce(ranks[0].send->data(), ranks[0].receive->data(), count, ncclFloat32, ncclSum,
                          ranks[0].comm, *ranks[1].stream),
            ncclUnhandledCudaError)
      << "a stream of another device than the rank's";
  ncclComm_t comms[2];
  const int twice[] = {0, 0};
  EXPECT_EQ(ncclCommInitAll(comms, 2, twice), ncclInvalidUsage);
}

/// Ranks that join a communicator each for itself, as several processes do.
class NcclByRank : public Nccl {
 protected:
  /// What becomes of a rank on each of these devices.
  std::vector<ncclResult_t> join(const std::vector<int>& devices) {
    ncclUniqueId id;
    EXPECT_EQ(ncclGetUniqueId(&id), ncclSuccess);
    for (const int device : devices) ranks.emplace_back(device, Format::fp32);
    std::vector<ncclResult_t> results(devices.size());
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < devices.size(); ++i) {
      threads.emplace_back([&, i] {
        cudaSetDevice(devices[i]);
        results[i] =
            ncclCommInitRank(&ranks[i].comm, static_cast<int>(devices.size()), id, static_cast<int>(i));
      });
    }
    for (std::thread& thread : threads) thread.join();
    expect_cuda(cudaSetDevice(0));
    return results;
  }
};

TEST_F(NcclByRank, AddsUpAndBroadcastsAgainAndAgain) {
  ASSERT_EQ(join({0, 1, 2}), std::vector<ncclResult_t>(3, ncclSuccess));
  for (int i = 0; i < 5; ++i) {
    for (const Rank& rank : ranks) ASSERT_EQ(all_reduce(rank, ncclSum), ncclSuccess);
  }
  synchronize();
  for (const Rank& rank : ranks) {
    for (std::size_t i = 0; i < count; ++i) EXPECT_EQ(rank.receive->values()[i], sum(i, Format::fp32));
  }
  for (const Rank& rank : ranks) {
    ASSERT_EQ(ncclBroadcast(rank.send->data(), rank.receive->data(), count, ncclFloat32, 1, rank.comm,
                            *rank.stream),
              ncclSuccess);
  }
  synchronize();
  for (const Rank& rank : ranks) EXPECT_EQ(rank.receive->values(), ranks[1].send->values());
}

TEST_F(NcclByRank, RefusesTwoRanksOnADevice) {
  EXPECT_EQ(join({0, 1, 0}), std::vector<ncclResult_t>(3, ncclInvalidUsage));
}

TEST_F(NcclByRank, LetsARankGoThatIsAborted) {
  ASSERT_EQ(join({0, 1}), std::vector<ncclResult_t>(2, ncclSuccess));
  ASSERT_EQ(all_reduce(ranks[0], ncclSum), ncclSuccess);
  EXPECT_EQ(ncclCommAbort(std::exchange(ranks[0].comm, nullptr)), ncclSuccess);
  ranks[0].stream->synchronize();
}

}  // namespace
}  // namespace tardigrad::emulation
