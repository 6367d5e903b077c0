#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "runtime/device/buffer.h"
#include "runtime/ranks/transport.h"

namespace tardigrad {

/// Vectors [dimension] in memory that rank 0 has in common with other ranks of its machine. These read models
/// and write gradients in it, which then need not be sent.
///
/// The memory is an anonymous file (memfd), which is gone with the last process that maps it. A page of it is
/// taken when it is first written.
class SharedVectors {
 public:
  /// Makes, on rank 0, so many vectors and orders ranks of its machine to accept() them. Nothing where none
  /// of them can.
  static std::optional<SharedVectors> offer(Transport& transport, const std::vector<int>& ranks,
                                            std::size_t dimension, std::size_t count);

  /// Maps, on a rank that is ordered to, what rank 0 offers. Nothing where it cannot.
  static std::optional<SharedVectors> accept(Transport& transport, std::size_t dimension);

  /// Tells, on rank 0, whether a rank has them, too.
  bool are_on(int rank) const { return on_rank_[static_cast<std::size_t>(rank)]; }

  std::size_t size() const { return count_; }
  BufferRef<float> at(std::uint32_t index) const {
    return host_view(values() + index * vector_stride(dimension_), dimension_);
  }

  /// Returns the index of the vector at whose first element a pointer is; nothing where that is in other
  /// memory.
  std::optional<std::uint32_t> index_of(const float* vector) const;

 private:
  struct Unmap {
    std::size_t bytes;
    void operator()(std::byte* memory) const noexcept;
  };
  using Mapped = std::unique_ptr<std::byte, Unmap>;

  SharedVectors(Mapped memory, std::size_t dimension, std::size_t count)
      : memory_(std::move(memory)), dimension_(dimension), count_(count) {}
  static std::optional<SharedVectors> map(int file, std::size_t dimension, std::size_t count);
  float* values() const;

  Mapped memory_;  // a header, and the vectors behind it
  std::size_t dimension_;
  std::size_t count_;
  std::vector<bool> on_rank_ = {};
};

}  // namespace tardigrad
