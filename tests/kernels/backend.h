#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <ostream>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/operation.h"

#if TARDIGRAD_CUDA
#include <cuda_runtime.h>
#endif

/// Runs an operation's one contract on the CPU and on a GPU: memory with guard bands for either, and how to
/// execute there.

namespace tardigrad::testing {

inline constexpr float infinity = std::numeric_limits<float>::infinity();

/// Stands in a vector where nothing has been written yet.
inline constexpr float poison = std::numeric_limits<float>::quiet_NaN();

enum class Backend { cpu, cuda };

inline std::ostream& operator<<(std::ostream& out, Backend backend) {
  return out << (backend == Backend::cpu ? "cpu" : "cuda");
}

/// Why the backend cannot be tested here, or nothing if it can.
inline std::string why_absent(Backend backend) {
  if (backend == Backend::cpu) return "";
#if TARDIGRAD_CUDA
  int devices = 0;
  const cudaError_t status = cudaGetDeviceCount(&devices);
  if (status != cudaSuccess) {
    static_cast<void>(cudaGetLastError());
    return std::string("no CUDA device: ") + cudaGetErrorString(status);
  }
  return devices > 0 ? "" : "no CUDA device: the driver lists none";
#else
  return "built without CUDA";
#endif
}

#if TARDIGRAD_CUDA
inline void check_status(cudaError_t status) {
  if (status != cudaSuccess) throw std::runtime_error(cudaGetErrorString(status));
}
#endif

/// Bytes on a backend, aligned to 256.
class Memory {
 public:
  Memory(Backend backend, std::span<const std::byte> content) : backend_(backend), size_(content.size()) {
    constexpr std::size_t alignment = 256;
#if TARDIGRAD_CUDA
    if (backend == Backend::cuda) {
      check_status(cudaMalloc(&start_, size_));
      check_status(cudaMemcpy(start_, content.data(), size_, cudaMemcpyHostToDevice));
      // It may be over before all has arrived, and a non-blocking stream does not wait for the rest.
      check_status(cudaDeviceSynchronize());
      return;
    }
#endif
    start_ = std::aligned_alloc(alignment, (size_ + alignment - 1) / alignment * alignment);
    if (start_ == nullptr) throw std::bad_alloc();
    std::memcpy(start_, content.data(), size_);
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() {
#if TARDIGRAD_CUDA
    if (backend_ == Backend::cuda) {
      static_cast<void>(cudaFree(start_));
      return;
    }
#endif
    std::free(start_);
  }

  std::byte* start() const { return static_cast<std::byte*>(start_); }

  std::vector<std::byte> content() const {
    std::vector<std::byte> content(size_);
#if TARDIGRAD_CUDA
    if (backend_ == Backend::cuda) {
      check_status(cudaMemcpy(content.data(), start_, size_, cudaMemcpyDeviceToHost));
      return content;
    }
#endif
    std::memcpy(content.data(), start_, size_);
    return content;
  }

 private:
  Backend backend_;
  std::size_t size_;
  void* start_ = nullptr;
};

/// A vector on a backend between two guard bands. It starts `offset` elements after a boundary of 256 bytes.
template <typename T>
class Guarded {
 public:
  Guarded(Backend backend, const std::vector<T>& values, std::size_t offset = 0)
      : size_(values.size()),
        before_bytes_(guard_bytes + offset * sizeof(T)),
        memory_(backend, surround(values, before_bytes_)) {}

  T* data() const { return reinterpret_cast<T*>(memory_.start() + before_bytes_); }

  /// The present values; a failure of the calling test if anything was written beside them.
  std::vector<T> values() const {
    const std::vector<std::byte> content = memory_.content();
    const auto begin = content.begin() + static_cast<std::ptrdiff_t>(before_bytes_);
    const auto end = begin + static_cast<std::ptrdiff_t>(size_ * sizeof(T));
    const auto is_canary = [](std::byte byte) { return byte == canary; };
    EXPECT_TRUE(std::all_of(content.begin(), begin, is_canary)) << "written before the vector";
    EXPECT_TRUE(std::all_of(end, content.end(), is_canary)) << "written behind the vector";
    std::vector<T> values(size_);
    std::copy(begin, end, std::as_writable_bytes(std::span(values)).begin());
    return values;
  }

 private:
  static constexpr std::size_t guard_bytes = 256;
  static constexpr std::byte canary{0xA5};

  static std::vector<std::byte> surround(const std::vector<T>& values, std::size_t before_bytes) {
    std::vector<std::byte> content(before_bytes + values.size() * sizeof(T) + guard_bytes, canary);
    std::ranges::copy(std::as_bytes(std::span(values)),
                      content.begin() + static_cast<std::ptrdiff_t>(before_bytes));
    return content;
  }

  std::size_t size_;
  std::size_t before_bytes_;
  Memory memory_;
};

/// Calls `enqueue` with a CUDA stream and waits until what it enqueued is done.
template <typename Enqueue>
void on_cuda_stream([[maybe_unused]] const Enqueue& enqueue) {
#if TARDIGRAD_CUDA
  cudaStream_t created = nullptr;
  check_status(cudaStreamCreateWithFlags(&created, cudaStreamNonBlocking));
  const std::unique_ptr<CUstream_st, decltype(&cudaStreamDestroy)> stream(created, &cudaStreamDestroy);
  enqueue(stream.get());
  check_status(cudaStreamSynchronize(stream.get()));
#endif
}

/// Runs the operation to its end.
template <typename Operation>
void execute(Backend backend, const Operation& operation) {
  if (backend == Backend::cpu) return operation.run();
#if TARDIGRAD_CUDA
  on_cuda_stream([&](CudaStream stream) { operation.launch(stream); });
#endif
}

/// Expects an error of the caller, with this in its text, from an operation that lacks or contradicts
/// something.
template <typename Operation>
void expect_refused(const Operation& operation, const std::string& text) {
  const auto throws = ::testing::ThrowsMessage<std::logic_error>(::testing::HasSubstr(text));
  EXPECT_THAT([&] { operation.run(); }, throws);
#if TARDIGRAD_CUDA
  EXPECT_THAT([&] { operation.launch(nullptr); }, throws);
#endif
}

/// A suite that is instantiated for every backend and skips, with the reason, those that are not here.
class OnBackend : public ::testing::TestWithParam<Backend> {
 protected:
  void SetUp() override {
    if (const std::string reason = why_absent(GetParam()); !reason.empty()) GTEST_SKIP() << reason;
  }
};

inline const auto every_backend = ::testing::Values(Backend::cpu, Backend::cuda);

/// True if both hold the same bits; where not, says so for the first element that differs.
template <typename T>
::testing::AssertionResult same_bits(const std::vector<T>& actual, const std::vector<T>& expected) {
  if (actual.size() != expected.size()) {
    return ::testing::AssertionFailure() << "sizes " << actual.size() << " and " << expected.size();
  }
  for (std::size_t i = 0; i < actual.size(); ++i) {
    if (std::memcmp(&actual[i], &expected[i], sizeof(T)) != 0) {
      return ::testing::AssertionFailure() << "element " << i << " is " << ::testing::PrintToString(actual[i])
                                           << ", expected " << ::testing::PrintToString(expected[i]);
    }
  }
  return ::testing::AssertionSuccess();
}

}  // namespace tardigrad::testing
