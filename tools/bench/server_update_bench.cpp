/// The fused server update against the naive passes and a plain copy, in turn in one run.
///
///     taskset -c 1 server_update_bench [--dimension D]... [--rounds R] [--workers N] [--device cpu|cuda]
///
/// A measurement is one update for each of N workers, in order, as DuDe's server makes them: worker i's
/// gradient, row and replica are touched once in the cycle, the mean and the model every time. So what is
/// cold and what is hot is the server's own: with 10 workers at d = 620,362 the workers' vectors (74 MB) come
/// from memory, the mean and the model (5 MB) may stay in a large cache; at d = 10 million nothing stays. The
/// copy cycles likewise, from gradients to replicas. Bytes are what the work needs at least: 8 a parameter
/// for the copy (read and written), 32 for an update with the hand-over, 28 without. The naive passes are
/// credited the same 32, so that all GB/s compare as speeds.

#include <fmt/core.h>
#include <sys/mman.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/server_update.h"
#include "kernels/server_update_naive.h"
#include "tools/bench/paired.h"

#if TARDIGRAD_CUDA
#include <cuda_runtime.h>
#endif

namespace tardigrad::bench {
namespace {

struct Options {
  std::vector<std::size_t> dimensions;
  std::size_t rounds = 31;
  std::size_t workers = 10;
  std::string device = "cpu";
};

std::size_t positive(const std::string& flag, const std::string& text) {
  std::size_t used = 0;
  std::size_t value = 0;
  try {
    value = std::stoul(text, &used);
  } catch (const std::exception&) {
    used = 0;
  }
  if (used == 0 || used != text.size() || text.front() == '-' || value == 0) {
    throw std::invalid_argument(flag + ": expected a positive number, got '" + text + "'");
  }
  return value;
}

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; i += 2) {
    const std::string flag = argv[i];
    if (i + 1 == argc) {
      throw std::invalid_argument(flag + ": a value is missing");
    }
    const std::string value = argv[i + 1];
    if (flag == "--dimension") {
      options.dimensions.push_back(positive(flag, value));
    } else if (flag == "--rounds") {
      options.rounds = positive(flag, value);
    } else if (flag == "--workers") {
      options.workers = positive(flag, value);
    } else if (flag == "--device" && (value == "cpu" || (value == "cuda" && built_with_cuda))) {
      options.device = value;
    } else if (flag == "--device") {
      throw std::invalid_argument("--device: expected cpu" + std::string(built_with_cuda ? " or cuda" : "") +
                                  ", got '" + value + "'");
    } else {
      throw std::invalid_argument("unknown flag " + flag +
                                  "; known: --dimension --rounds --workers --device");
    }
  }
  if (options.dimensions.empty()) {
    options.dimensions = {620362, 10000000};
  }
  return options;
}

/// Host memory in huge pages, as the runtime's buffers are.
struct HostMemory {
  using Vector = std::unique_ptr<float, decltype(&std::free)>;

  static Vector allocate(const std::vector<float>& values) {
    constexpr std::size_t huge_page_bytes = std::size_t{2} << 20;
    const std::size_t bytes = values.size() * sizeof(float);
    const std::size_t padded_bytes = (bytes + huge_page_bytes - 1) / huge_page_bytes * huge_page_bytes;
    void* memory = std::aligned_alloc(huge_page_bytes, padded_bytes);
    if (memory == nullptr) {
      throw std::bad_alloc();
    }
    madvise(memory, padded_bytes, MADV_HUGEPAGE);  // a wish; without it the numbers are what they are
    std::memcpy(memory, values.data(), bytes);
    return {static_cast<float*>(memory), &std::free};
  }
};

/// All the vectors of a server with `workers` workers, filled with random numbers.
template <typename Memory>
struct Server {
  using Vector = typename Memory::Vector;

  Server(std::size_t d, std::size_t workers) : dimension(d) {
    std::vector<float> values(d);
    std::minstd_rand random(7);
    std::uniform_real_distribution<float> uniform(-1, 1);
    const auto next = [&] {
      for (float& value : values) {
        value = uniform(random);
      }
      return Memory::allocate(values);
    };
    for (std::size_t i = 0; i < workers; ++i) {
      gradients.push_back(next());
      rows.push_back(next());
      replicas.push_back(next());
    }
  }

  /// DuDe's update for worker i.
  [[nodiscard]] ServerUpdate update(std::size_t i, bool hand_over) const {
    ServerUpdate update;
    update.dimension = dimension;
    update.gradient = gradients[i].get();
    update.row = rows[i].get();
    update.mean = mean.get();
    update.model = model.get();
    update.hand_over = hand_over ? replicas[i].get() : nullptr;
    update.fold = Fold::replace;
    update.mean_update = Mean::accumulate;
    update.step = true;
    update.mean_weight = 1 / static_cast<float>(rows.size());
    update.step_size = 1e-3F;
    return update;
  }

  std::size_t dimension;
  std::vector<Vector> gradients, rows, replicas;
  Vector mean = Memory::allocate(std::vector<float>(dimension, 0.5F));
  Vector model = Memory::allocate(std::vector<float>(dimension, 0.25F));
  Vector scratch = Memory::allocate(std::vector<float>(dimension, 0.125F));
};

enum : std::size_t { copy, fused, fused_without_hand_over, naive };

void report(const Comparison& times, std::size_t dimension, std::size_t workers) {
  fmt::print("d = {}, {} workers in turn\n", dimension, workers);
  fmt::print("  {:<24} {:>10} {:>8} {:>16} {:>14}\n", "", "µs", "GB/s", "share of copy", "naive / this");
  constexpr double bytes_each[] = {8, 32, 28, 32};
  for (std::size_t i = 0; i < times.size(); ++i) {
    const double update_s = times.median_s(i) / static_cast<double>(workers);
    const double bytes = bytes_each[i] * static_cast<double>(dimension);
    const double share = bytes_each[i] / bytes_each[copy] * times.ratio(copy, i);
    const std::string speed = i == copy ? "" : fmt::format("{:.2f}×", times.ratio(naive, i));
    fmt::print("  {:<24} {:>10.1f} {:>8.1f} {:>14.0f} % {:>14}\n", times.name(i), update_s * 1e6,
               bytes / update_s * 1e-9, share * 100, speed);
  }
}

void run_cpu(const Options& options, std::size_t dimension) {
  const Server<HostMemory> server(dimension, options.workers);
  const auto cycle = [&](const char* name, auto work) {
    const auto all = [=, &options] {
      for (std::size_t i = 0; i < options.workers; ++i) {
        work(i);
      }
    };
    return timed(name, all, all);
  };
  const Comparison times(
      {cycle("copy (memcpy)",
             [&](std::size_t i) {
               std::memcpy(server.replicas[i].get(), server.gradients[i].get(), dimension * sizeof(float));
             }),
       cycle("fused", [&](std::size_t i) { server.update(i, true).run(); }),
       cycle("fused, no hand-over", [&](std::size_t i) { server.update(i, false).run(); }),
       cycle("naive passes",
             [&](std::size_t i) { run_naive(server.update(i, true), server.scratch.get()); })},
      options.rounds);
  report(times, dimension, options.workers);
}

#if TARDIGRAD_CUDA
void check(cudaError_t status, const char* call) {
  if (status != cudaSuccess) {
    throw std::runtime_error(std::string(call) + ": " + cudaGetErrorString(status));
  }
}

struct CudaMemory {
  struct Free {
    void operator()(float* pointer) const { static_cast<void>(cudaFree(pointer)); }
  };
  using Vector = std::unique_ptr<float, Free>;

  static Vector allocate(const std::vector<float>& values) {
    void* memory = nullptr;
    const std::size_t bytes = values.size() * sizeof(float);
    check(cudaMalloc(&memory, bytes), "cudaMalloc");
    Vector vector(static_cast<float*>(memory));
    check(cudaMemcpy(memory, values.data(), bytes, cudaMemcpyHostToDevice), "cudaMemcpy");
    return vector;
  }
};

/// A stream and the two events that time what is enqueued between them.
class CudaTimer {
 public:
  CudaTimer() {
    check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
    check(cudaEventCreate(&start_), "cudaEventCreate");
    check(cudaEventCreate(&end_), "cudaEventCreate");
  }
  CudaTimer(const CudaTimer&) = delete;
  CudaTimer& operator=(const CudaTimer&) = delete;
  ~CudaTimer() {
    static_cast<void>(cudaEventDestroy(end_));
    static_cast<void>(cudaEventDestroy(start_));
    static_cast<void>(cudaStreamDestroy(stream_));
  }

  template <typename Work>
  double measure_s(const Work& work) {
    float elapsed_ms = 0;
    check(cudaEventRecord(start_, stream_), "cudaEventRecord");
    work(stream_);
    check(cudaEventRecord(end_, stream_), "cudaEventRecord");
    check(cudaEventSynchronize(end_), "cudaEventSynchronize");
    check(cudaEventElapsedTime(&elapsed_ms, start_, end_), "cudaEventElapsedTime");
    return static_cast<double>(elapsed_ms) * 1e-3;
  }

 private:
  cudaStream_t stream_ = nullptr;
  cudaEvent_t start_ = nullptr;
  cudaEvent_t end_ = nullptr;
};

void run_cuda(const Options& options, std::size_t dimension) {
  const Server<CudaMemory> server(dimension, options.workers);
  CudaTimer timer;
  const auto cycle = [&](const char* name, auto work) {
    return Contender{name, [=, &options, &timer] {
                       const auto all = [&](cudaStream_t stream) {
                         for (std::size_t i = 0; i < options.workers; ++i) {
                           work(i, stream);
                         }
                       };
                       static_cast<void>(timer.measure_s(all));
                       return timer.measure_s(all);
                     }};
  };
  const Comparison times(
      {cycle("copy (device to device)",
             [&](std::size_t i, cudaStream_t stream) {
               check(cudaMemcpyAsync(server.replicas[i].get(), server.gradients[i].get(),
                                     dimension * sizeof(float), cudaMemcpyDeviceToDevice, stream),
                     "cudaMemcpyAsync");
             }),
       cycle("fused", [&](std::size_t i, cudaStream_t stream) { server.update(i, true).launch(stream); }),
       cycle("fused, no hand-over",
             [&](std::size_t i, cudaStream_t stream) { server.update(i, false).launch(stream); }),
       cycle("naive passes",
             [&](std::size_t i, cudaStream_t stream) {
               launch_naive(server.update(i, true), server.scratch.get(), stream);
             })},
      options.rounds);
  report(times, dimension, options.workers);
}
#endif

void run(const Options& options) {
  for (const std::size_t dimension : options.dimensions) {
#if TARDIGRAD_CUDA
    if (options.device == "cuda") {
      run_cuda(options, dimension);
      continue;
    }
#endif
    run_cpu(options, dimension);
  }
}

}  // namespace
}  // namespace tardigrad::bench

int main(int argc, char** argv) {
  try {
    tardigrad::bench::run(tardigrad::bench::parse(argc, argv));
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "server_update_bench: {}\n", error.what());
    return 2;
  }
}
