#pragma once

#include <cstddef>
#include <memory>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include "runtime/device/device.h"

namespace tardigrad {

class StreamRef;

namespace detail {
class StreamImpl;
std::shared_ptr<StreamImpl> share(const StreamRef& stream);
void* allocate(StreamImpl& stream, std::size_t bytes);
void deallocate(StreamImpl& stream, void* memory, std::size_t bytes) noexcept;
void* allocate_pinned(Device device, std::size_t bytes);
void deallocate_pinned(Device device, void* memory) noexcept;
Device device_of(const StreamImpl& stream);
}  // namespace detail

/// Refers to elements in a device's memory without owning them.
template <typename T>
class BufferRef {
 public:
  BufferRef(T* data, std::size_t size, Device device) : data_(data), size_(size), device_(device) {}
  BufferRef(std::nullptr_t, std::size_t, Device) = delete;

  /// Converts: a view of writable elements is also one of readable elements.
  operator BufferRef<const T>() const requires(!std::is_const_v<T>) { return {data_, size_, device_}; }

  T* data() const { return data_; }
  std::size_t size() const { return size_; }  ///< in elements
  Device device() const { return device_; }

  /// Returns the view of elements [offset, offset + count). Throws std::out_of_range beyond the end.
  BufferRef subview(std::size_t offset, std::size_t count) const {
    if (offset > size_ || count > size_ - offset) {
      throw std::out_of_range("subview beyond the end of a buffer");
    }
    return {data_ + offset, count, device_};
  }

 private:
  T* data_;
  std::size_t size_;
  Device device_;
};

/// Returns a view of host memory that streams can copy from and to.
template <typename T>
BufferRef<T> host_view(T* data, std::size_t size) {
  return {data, size, Device{Backend::cpu, 0}};
}

/// Owns elements in a device's memory, uninitialised, aligned to 64 bytes at least.
///
/// Allocation and release are part of the stream named: the memory may be used by work enqueued on that
/// stream, or ordered after it, once constructed; the destructor enqueues the release behind all work of that
/// stream. Work of other streams must be ordered before that by events. Throws DeviceError if the memory
/// cannot be had.
template <typename T>
class Buffer {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  Buffer(const StreamRef& stream, std::size_t size)
      : stream_(detail::share(stream)),
        // NOLINTNEXTLINE(bugprone-sizeof-expression): elements may be pointers
        data_(static_cast<T*>(detail::allocate(*stream_, size * sizeof(T)))),
        size_(size) {}
  Buffer(Buffer&& other) noexcept
      : stream_(std::move(other.stream_)),
        data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(stream_, other.stream_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() {
    // NOLINTNEXTLINE(bugprone-sizeof-expression): elements may be pointers
    if (stream_) detail::deallocate(*stream_, data_, size_ * sizeof(T));
  }

  std::size_t size() const { return size_; }  ///< in elements
  Device device() const { return detail::device_of(*stream_); }
  BufferRef<T> ref() { return {data_, size_, device()}; }
  BufferRef<const T> ref() const { return {data_, size_, device()}; }

 private:
  std::shared_ptr<detail::StreamImpl> stream_;
  T* data_;
  std::size_t size_;
};

/// Returns the bytes in the Buffers of a device at present. CPU devices share one memory, and one count.
std::size_t memory_allocated(Device device);

/// Returns the stride, in elements, of vectors [dimension] side by side: element i of vector v lies at
/// v·stride + i. They begin on cache lines, and many of them in one allocation lie on large pages.
inline std::size_t vector_stride(std::size_t dimension) {
  constexpr std::size_t floats_per_line = 16;
  constexpr std::size_t floats_per_page = 1024;
  const std::size_t stride = (dimension + floats_per_line - 1) / floats_per_line * floats_per_line;
  // Vectors a multiple of the page apart would fall on the same sets of the caches.
  return stride % floats_per_page == 0 ? stride + floats_per_line : stride;
}

/// Owns host memory that kernels of a device can write, for small results on their way to the host. The
/// destructor releases it at once: work that uses it must be over.
template <typename T>
class PinnedBuffer {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  PinnedBuffer(Device device, std::size_t size)
      // NOLINTNEXTLINE(bugprone-sizeof-expression): elements may be pointers
      : memory_(static_cast<T*>(detail::allocate_pinned(device, size * sizeof(T))), Release{device}) {}
  T* data() const { return memory_.get(); }

 private:
  struct Release {
    Device device;
    void operator()(T* memory) const noexcept { detail::deallocate_pinned(device, memory); }
  };
  std::unique_ptr<T, Release> memory_;
};

}  // namespace tardigrad
