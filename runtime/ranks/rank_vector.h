#pragma once

#include <cstddef>
#include <variant>

#include "runtime/device/buffer.h"
#include "runtime/device/stream.h"
#include "runtime/ranks/transport.h"

namespace tardigrad {

/// Owns a model or a gradient of a job [dimension], where a rank keeps them: in memory of the host that is
/// pinned for a GPU, or in that of a device.
class RankVector {
 public:
  /// Makes it in memory of the host which that device reads and writes as its own.
  RankVector(Device device, std::size_t dimension)
      : memory_(std::in_place_type<PinnedBuffer<float>>, device, dimension), dimension_(dimension) {}

  /// Makes it in memory of the stream's device, which is there for all streams when the constructor returns.
  RankVector(const StreamRef& stream, std::size_t dimension)
      : memory_(std::in_place_type<Buffer<float>>, stream, dimension), dimension_(dimension) {
    stream.synchronize();
  }

  /// Makes it where messages take it and work of the stream reads and writes it: in memory of the stream's
  /// device, or pinned in the host's where that is a GPU whose memory the transport does not take.
  static RankVector for_messages(const Transport& transport, const StreamRef& stream, std::size_t dimension) {
    const bool on_gpu = stream.device().backend == Backend::cuda;
    if (on_gpu && !transport.takes_gpu_memory()) return {stream.device(), dimension};
    return {stream, dimension};
  }

  BufferRef<float> ref() {
    if (auto* const buffer = std::get_if<Buffer<float>>(&memory_)) return buffer->ref();
    return host_view(std::get<PinnedBuffer<float>>(memory_).data(), dimension_);
  }

 private:
  std::variant<PinnedBuffer<float>, Buffer<float>> memory_;
  std::size_t dimension_;
};

}  // namespace tardigrad
