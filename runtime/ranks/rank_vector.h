#pragma once

#include <cstddef>
#include <variant>

#include "runtime/device/buffer.h"
#include "runtime/device/stream.h"

namespace tardigrad {

/// Owns a model or a gradient of a job [dimension], where a rank that computes keeps them: in the host's
/// memory, which the copies of its devices are fast for, or in that of a GPU whose stream has a server.
class RankVector {
 public:
  RankVector(Device copies, std::size_t dimension)
      : memory_(std::in_place_type<PinnedBuffer<float>>, copies, dimension), dimension_(dimension) {}

  /// The memory is there for all streams when the constructor returns.
  RankVector(const StreamRef& server, std::size_t dimension)
      : memory_(std::in_place_type<Buffer<float>>, server, dimension), dimension_(dimension) {
    server.synchronize();
  }

  BufferRef<float> ref() {
    if (auto* const on_gpu = std::get_if<Buffer<float>>(&memory_)) return on_gpu->ref();
    return host_view(std::get<PinnedBuffer<float>>(memory_).data(), dimension_);
  }

 private:
  std::variant<PinnedBuffer<float>, Buffer<float>> memory_;
  std::size_t dimension_;
};

}  // namespace tardigrad
