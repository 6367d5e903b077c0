// Device code on emulated threads. The kernels here stand for what kernels/*.cu may use.

#include "tests/cuda_emulation/device_code.h"
// Above all others: it stands for what nvcc knows by itself.

#include <gtest/gtest.h>

#include <atomic>
#include <numeric>
#include <vector>

#include "tests/cuda_emulation/device_array.h"

namespace tardigrad::emulation {
namespace {

/// Page-locked memory, which host and device both see.
template <typename Number>
class Shared {
 public:
  explicit Shared(std::size_t size) : size_(size) {
    expect_cuda(cudaMallocHost(&data_, size * sizeof(Number)));
    std::fill(data_, data_ + size, Number{});
  }
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;
  ~Shared() { static_cast<void>(cudaFreeHost(data_)); }
  Number* data() const { return data_; }
  Number operator[](std::size_t i) const { return data_[i]; }
  std::vector<Number> values() const { return {data_, data_ + size_}; }

 private:
  Number* data_ = nullptr;
  std::size_t size_;
};

template <typename... Parameters, typename... Arguments>
void run(void (*kernel)(Parameters...), dim3 grid, dim3 block, Arguments... arguments) {
  const Stream stream;
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = block;
  config.stream = stream;
  expect_cuda(cudaLaunchKernelEx(&config, kernel, arguments...));
  stream.synchronize();
}

__global__ void write_indices(uint3* of) {
  const unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  const unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  of[block * blockDim.x * blockDim.y * blockDim.z + thread] = {block, thread, threadIdx.y};
}

TEST(EmulatedThreads, KnowTheirPlaceInGridsAndBlocksOfThreeDimensions) {
  const Shared<uint3> of(6 * 30);
  run(write_indices, dim3(3, 2, 1), dim3(5, 3, 2), of.data());
  for (unsigned i = 0; i < 6 * 30; ++i) {
    EXPECT_EQ(of[i].x, i / 30);
    EXPECT_EQ(of[i].y, i % 30);
    EXPECT_EQ(of[i].z, i % 30 / 5 % 3);
  }
}

/// Reverses a block's values several times, which needs a barrier before each reading and before each
/// writing.
__global__ void reverse(unsigned* values, int times) {
  __shared__ unsigned exchanged[1024];
  unsigned mine = values[blockIdx.x * blockDim.x + threadIdx.x];
  for (int i = 0; i < times; ++i) {
    exchanged[threadIdx.x] = mine;
    __syncthreads();
    mine = exchanged[blockDim.x - 1 - threadIdx.x];
    __syncthreads();
  }
  values[blockIdx.x * blockDim.x + threadIdx.x] = mine;
}

TEST(EmulatedThreads, MeetAtBarriers) {
  for (const unsigned threads : {1U, 31U, 64U, 1000U}) {
    const Shared<unsigned> values(2 * threads);
    std::iota(values.data(), values.data() + 2 * threads, 0);
    run(reverse, 2, threads, values.data(), 3);
    for (unsigned i = 0; i < 2 * threads; ++i) {
      EXPECT_EQ(values[i], i / threads * threads + threads - 1 - i % threads);
    }
  }
}

__global__ void vote(int* counts) {
  const int odd = __syncthreads_count(threadIdx.x % 2);
  const int any = __syncthreads_or(threadIdx.x == 7);
  const int all = __syncthreads_and(threadIdx.x < 99);
  if (threadIdx.x == 5) {
    counts[0] = odd;
    counts[1] = any;
    counts[2] = all;
  }
}

TEST(EmulatedThreads, CountAtBarriers) {
  const Shared<int> counts(3);
  run(vote, 1, 100, counts.data());
  EXPECT_EQ(counts.values(), (std::vector<int>{50, 1, 0}));
}

__global__ void shuffle_all(int* values) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  int* mine = values + threadIdx.x * 6;
  mine[0] = __shfl_sync(~0U, lane, 3);
  mine[1] = __shfl_down_sync(~0U, lane, 5);
  mine[2] = __shfl_up_sync(~0U, lane, 5);
  mine[3] = __shfl_xor_sync(~0U, lane, 9);
  mine[4] = __shfl_down_sync(~0U, lane, 3, 8);
  mine[5] = __shfl_sync(~0U, lane, 1, 16);
}

TEST(EmulatedWarps, Shuffle) {
  const Shared<int> values(64 * 6);
  run(shuffle_all, 1, 64, values.data());
  for (int thread = 0; thread < 64; ++thread) {
    const int lane = thread % 32;
    const int* mine = values.data() + thread * 6;
    EXPECT_EQ(mine[0], 3);
    EXPECT_EQ(mine[1], lane + 5 < 32 ? lane + 5 : lane);
    EXPECT_EQ(mine[2], lane >= 5 ? lane - 5 : lane);
    EXPECT_EQ(mine[3], lane ^ 9);
    EXPECT_EQ(mine[4], lane % 8 + 3 < 8 ? lane + 3 : lane);
    EXPECT_EQ(mine[5], lane / 16 * 16 + 1);
  }
}

/// The halves of a warp take different ways and meet only within themselves, unequally often.
__global__ void diverge(double* sums, unsigned* votes) {
  const unsigned lane = threadIdx.x % 32;
  const unsigned mask = lane < 16 ? 0x0000FFFFU : 0xFFFF0000U;
  double sum = lane;
  for (unsigned half = 8; half > 0; half /= 2) sum += __shfl_xor_sync(mask, sum, static_cast<int>(half));
  if (lane >= 16) sum += __shfl_sync(mask, sum, 16);
  sums[threadIdx.x] = sum;
  votes[threadIdx.x] = __ballot_sync(mask, lane % 4 == 0) | (__any_sync(mask, lane == 20) ? 2U : 0U) |
                       (__all_sync(mask, lane < 16) ? 4U : 0U);
}

TEST(EmulatedWarps, MeetInPartsByMask) {
  const Shared<double> sums(32);
  const Shared<unsigned> votes(32);
  run(diverge, 1, 32, sums.data(), votes.data());
  for (unsigned lane = 0; lane < 32; ++lane) {
    EXPECT_EQ(sums[lane], lane < 16 ? 120 : 2 * 376);
    EXPECT_EQ(votes[lane], lane < 16 ? 0x00001111U | 4U : 0x11110000U | 2U);
  }
}

__global__ void count_up(unsigned* count, float* sum, double* wide, unsigned* largest) {
  atomicAdd(count, 1U);
  atomicAdd(sum, 0.25F);
  atomicAdd(wide, 0.5);
  atomicMax(largest, threadIdx.x);
}

TEST(EmulatedThreads, AddAtomicallyToWhatOtherStreamsAddTo) {
  const Shared<unsigned> counts(2);
  const Shared<float> sum(1);
  const Shared<double> wide(1);
  std::vector<std::unique_ptr<Stream>> streams;
  for (int i = 0; i < 4; ++i) streams.push_back(std::make_unique<Stream>());
  for (int i = 0; i < 40; ++i) {
    cudaLaunchConfig_t config{};
    config.gridDim = 4;
    config.blockDim = 64;
    config.stream = *streams[static_cast<std::size_t>(i) % 4];
    expect_cuda(
        cudaLaunchKernelEx(&config, count_up, counts.data(), sum.data(), wide.data(), counts.data() + 1));
  }
  for (const auto& stream : streams) stream->synchronize();
  EXPECT_EQ(counts.values(), (std::vector<unsigned>{10240, 63}));
  EXPECT_EQ(sum[0], 2560);
  EXPECT_EQ(wide[0], 5120);
}

/// Waits for the host in one thread and for that thread in the others.
__global__ void wait_for_host(int* go, int* passed) {
  if (threadIdx.x == 0) {
    while (std::atomic_ref(*go).load() == 0) __nanosleep(1000);
  }
  __syncthreads();
  passed[threadIdx.x] = 1;
}

TEST(EmulatedThreads, SleepWhileOthersGoOn) {
  const Shared<int> go(1);
  const Shared<int> passed(40);
  const Stream stream;
  cudaLaunchConfig_t config{};
  config.gridDim = 1;
  config.blockDim = 40;
  config.stream = stream;
  expect_cuda(cudaLaunchKernelEx(&config, wait_for_host, go.data(), passed.data()));
  EXPECT_EQ(cudaStreamQuery(stream), cudaErrorNotReady);
  std::atomic_ref(*go.data()).store(1);
  stream.synchronize();
  EXPECT_EQ(passed.values(), std::vector<int>(40, 1));
}

__global__ void miss_a_barrier() {
  if (threadIdx.x != 3) __syncthreads();
}
__global__ void miss_a_shuffle() {
  if (threadIdx.x != 3) __shfl_sync(~0U, 1, 0);
}
__global__ void name_others_only() { __shfl_sync(~(1U << threadIdx.x), 1, 0); }

TEST(EmulatedThreadsDeathTest, DivergenceEndsTheProgram) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(run(miss_a_barrier, 1, 64),
               "block \\(0, 0, 0\\) of 64 threads stands still: 1 have ended, 63 wait");
  EXPECT_DEATH(run(miss_a_shuffle, 1, 32), "the lanes 0xfffffff7 of 0xffffffff wait");
  EXPECT_DEATH(run(name_others_only, 1, 32), "without itself");
}

}  // namespace
}  // namespace tardigrad::emulation
