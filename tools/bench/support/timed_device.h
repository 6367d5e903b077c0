#pragma once

#include <sys/mman.h>

#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <new>
#include <string>
#include <utility>

#include "kernels/operation.h"
#include "tools/bench/support/paired.h"

#if TARDIGRAD_CUDA
#include "tools/bench/support/cuda_graph.h"
#endif

namespace tardigrad::bench {

/// Executes operation i.
using Execute = std::function<void(std::size_t i)>;

/// Host memory in huge pages, as the runtime's buffers are, and the calling thread.
class CpuDevice {
 public:
  struct Free {
    void operator()(void* pointer) const { std::free(pointer); }
  };

  std::unique_ptr<void, Free> allocate(std::size_t bytes) const {
    constexpr std::size_t huge_page_bytes = std::size_t{2} << 20;
    const std::size_t padded_bytes = (bytes + huge_page_bytes - 1) / huge_page_bytes * huge_page_bytes;
    std::unique_ptr<void, Free> memory(std::aligned_alloc(huge_page_bytes, padded_bytes));
    if (memory == nullptr) throw std::bad_alloc();
    madvise(memory.get(), padded_bytes, MADV_HUGEPAGE);  // a wish; without it the numbers are what they are
    return memory;
  }

  void fill(void* to, const void* from, std::size_t bytes) const { std::memcpy(to, from, bytes); }
  void copy(void* to, const void* from, std::size_t bytes) const { std::memcpy(to, from, bytes); }
  template <typename Operation>
  void execute(const Operation& operation) const {
    operation.run();
  }

  /// Times operations 0 … count−1, one after another, with the caches as they leave them.
  Contender in_a_row(std::string name, std::size_t count, const Execute& execute) const {
    const auto work = [count, execute] {
      for (std::size_t i = 0; i < count; ++i) execute(i);
    };
    return timed(std::move(name), work, work);
  }
};

#if TARDIGRAD_CUDA
/// Device memory, a stream, and the two events that time what is enqueued between them.
class CudaDevice {
 public:
  struct Free {
    void operator()(void* pointer) const { static_cast<void>(cudaFree(pointer)); }
  };

  std::unique_ptr<void, Free> allocate(std::size_t bytes) const {
    void* memory = nullptr;
    check(cudaMalloc(&memory, bytes), "cudaMalloc");
    return std::unique_ptr<void, Free>(memory);
  }

  /// From host memory; returns when all has arrived, for which cudaMemcpy alone does not wait.
  void fill(void* to, const void* from, std::size_t bytes) const {
    check(cudaMemcpy(to, from, bytes, cudaMemcpyHostToDevice), "cudaMemcpy");
    check(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
  }
  void copy(void* to, const void* from, std::size_t bytes) const {
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream_.get()), "cudaMemcpyAsync");
  }
  template <typename Operation>
  void execute(const Operation& operation) const {
    operation.launch(stream_.get());
  }
  CudaStream stream() const { return stream_.get(); }

  /// Times operations 0 … count−1 as the device runs them back to back, by its own clock: as a graph, so that
  /// no launch is waited for, and behind the same graph, so that the device is busy until all is enqueued.
  Contender in_a_row(std::string name, std::size_t count, const Execute& execute) const {
    auto graph = std::make_shared<CudaGraph>(stream_.get(), [&] {
      for (std::size_t i = 0; i < count; ++i) execute(i);
    });
    return {std::move(name), [this, graph] {
              graph->launch(stream_.get());
              start_.record(stream_.get());
              graph->launch(stream_.get());
              end_.record(stream_.get());
              return start_.seconds_until(end_);
            }};
  }

  /// Times operations 0 … count−1 from the call that launches one to the moment when the host sees it
  /// finished, each on an idle device, by the host's clock.
  Contender from_launch_to_finish(std::string name, std::size_t count, Execute execute) const {
    const auto work = [this, count, execute = std::move(execute)] {
      for (std::size_t i = 0; i < count; ++i) {
        execute(i);
        check(cudaStreamSynchronize(stream_.get()), "cudaStreamSynchronize");
      }
    };
    return timed(std::move(name), work, work);
  }

 private:
  OwnedStream stream_ = make_stream();
  CudaTimer start_, end_;
};
#endif

}  // namespace tardigrad::bench
