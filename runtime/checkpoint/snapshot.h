#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernels/bf16.h"
#include "runtime/checkpoint/safetensors.h"
#include "runtime/checkpoint/vector_source.h"
#include "runtime/device/buffer.h"
#include "runtime/device/stream.h"

namespace tardigrad {

/// Owns host memory for vectors on their way from devices to files: a few buffers that are there from the
/// beginning, and more where the disk is slower than that. Any thread may use it.
class StagingPool {
 public:
  using Buffer = PinnedBuffer<std::byte>;

  /// Allocates the first buffers, which may be smaller than a vector. Throws DeviceError if the memory cannot
  /// be had.
  StagingPool(Device device, std::size_t buffer_bytes);

  std::shared_ptr<Buffer> take();
  void give_back(std::shared_ptr<Buffer> buffer);
  std::size_t buffer_bytes() const { return buffer_bytes_; }

  /// Counts the buffers that are kept for the next snapshot.
  static constexpr std::size_t kept = 8;

 private:
  Device device_;
  std::size_t buffer_bytes_;
  std::mutex mutex_;
  std::vector<std::shared_ptr<Buffer>> free_;
};

/// Takes the vectors of a run as they are at one moment to where they are kept (FileSnapshot), while the run
/// goes on. First all vectors are announced; then each is handed over once, whole or in parts, in any order.
class Snapshot {
 public:
  /// Says where a vector goes.
  struct Place {
    bool model = false;          ///< model.safetensors, or state.safetensors
    std::uint64_t position = 0;  ///< of its first byte in the data of that file
  };

  /// Is what is handed over at once: a vector, or a part of one.
  struct Piece {
    Place place;
    std::size_t bytes;
    std::shared_ptr<StagingPool::Buffer> buffer;  ///< of the pool, to which it is given back
  };

  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;
  virtual ~Snapshot();

  static constexpr Place model() { return {.model = true, .position = 0}; }

  /// Announces a tensor [d], or [rows, d], and returns where its first row goes. One of that name may have
  /// been announced before: it is the same, and its rows come in parts.
  Place add(const std::string& name, ElementType type = ElementType::f32,
            std::optional<std::size_t> rows = {});

  /// Returns the bytes of all that has been announced: where the next tensor goes.
  std::uint64_t announced_bytes() const { return announced_bytes_; }

  /// Returns where row `row` of a tensor goes.
  Place row(Place first, ElementType type, std::size_t row) const;

  /// Returns where the elements from `index` on go of a vector whose place that is.
  static Place element(Place vector, ElementType type, std::size_t index) {
    return {.model = vector.model, .position = vector.position + index * element_bytes(type)};
  }

  /// Copies a vector [d], or a part of one, as it is behind all that is enqueued on the stream by now. Any
  /// thread that may use the stream may call it.
  void save(const StreamRef& stream, BufferRef<const float> vector, Place place) {
    copy(stream, vector, place);
  }
  void save(const StreamRef& stream, BufferRef<const Bf16> vector, Place place) {
    copy(stream, vector, place);
  }

  /// Copies a vector [d] of the host at once.
  void save(std::span<const float> vector, Place place) { save(std::as_bytes(vector), place); }

  /// Copies a part of a vector, as its bytes, at once.
  void save(std::span<const std::byte> bytes, Place place);

 protected:
  /// Announces what goes behind so many bytes. The pool outlives the snapshot.
  Snapshot(std::size_t dimension, StagingPool& pool, std::uint64_t announced_bytes = 0);

  /// Returns a buffer for a piece that will be submitted. Any thread may call it.
  virtual std::shared_ptr<StagingPool::Buffer> take_buffer() { return pool_.take(); }

  /// Takes a piece that is complete, on any thread.
  virtual void submit(Piece piece) = 0;

  StagingPool& pool() const { return pool_; }
  const SafetensorsContents::Json& announced() const { return *tensors_; }

 private:
  /// Copies a vector in pieces that fit into a buffer.
  template <typename T>
  void copy(const StreamRef& stream, BufferRef<const T> vector, Place place) {
    const std::size_t most = pool_.buffer_bytes() / sizeof(T);
    for (std::size_t begin = 0; begin < vector.size(); begin += most) {
      const BufferRef<const T> piece = vector.subview(begin, std::min(most, vector.size() - begin));
      auto buffer = take_buffer();
      stream.copy(host_view(reinterpret_cast<T*>(buffer->data()), piece.size()), piece);
      stream.notify([this, to = Place{place.model, place.position + begin * sizeof(T)},
                     bytes = piece.size() * sizeof(T), buffer = std::move(buffer)] {
        submit({to, bytes, buffer});
      });
    }
  }

  StagingPool& pool_;
  std::size_t dimension_;
  std::unique_ptr<SafetensorsContents::Json> tensors_;  // of the header of the state
  std::map<std::string, Place> places_;                 // of their first rows
  std::uint64_t announced_bytes_;
};

}  // namespace tardigrad
