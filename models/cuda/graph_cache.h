#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "models/cuda/layers/handles.h"

namespace tardigrad::models::cuda {

/// Keeps CUDA graphs of one piece of work, which differs only in the addresses it is about. Work on addresses
/// seen for the first time is enqueued directly, the second time it is captured, and from then on its graph
/// is launched: one call in place of a dozen. The least recently used leave.
class GraphCache {
 public:
  static constexpr std::size_t capacity = 64;

  /// Says what the work is about.
  struct Addresses {
    const float* model = nullptr;
    float* gradient = nullptr;
    float* loss = nullptr;

    bool operator==(const Addresses&) const = default;
  };

  /// Makes an empty cache. Where it is not `enabled` everything is enqueued directly.
  GraphCache(Device device, bool enabled) : device_(device), enabled_(enabled) {}

  /// Runs the work. `enqueue` enqueues it on the stream, always the same for the same addresses. The device
  /// is current. Throws what `enqueue` does, and DeviceError.
  void run(CudaStream stream, const Addresses& addresses, const std::function<void()>& enqueue);

  /// Returns the number of graphs captured so far.
  std::size_t captured() const { return captured_; }

 private:
  using Graph = Owned<cudaGraph_t, cudaGraphDestroy>;
  using Executable = Owned<cudaGraphExec_t, cudaGraphExecDestroy>;

  struct Entry {
    Addresses addresses;
    std::uint64_t last_use = 0;
    Executable graph;
  };

  Entry* find(const Addresses& addresses);
  void remember(const Addresses& addresses);
  Executable capture(CudaStream stream, const std::function<void()>& enqueue) const;

  Device device_;
  bool enabled_;
  std::uint64_t uses_ = 0;
  std::size_t captured_ = 0;
  std::vector<Entry> entries_;
};

}  // namespace tardigrad::models::cuda
