#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "tests/cuda_emulation/state.h"
#include "tests/cuda_emulation/stream_work.h"

namespace tardigrad::emulation {
namespace {

enum class Origin { device, pool, host, registered };

struct Allocation {
  std::uintptr_t begin;
  std::size_t bytes;
  Device* device;  ///< for host memory the one current at the time
  Origin origin;

  bool on_host() const { return origin == Origin::host || origin == Origin::registered; }
};

/// All memory that CUDA knows of. Each allocation is one of the C library's, so that AddressSanitizer watches
/// its ends.
struct Memory {
  std::mutex mutex;
  std::map<std::uintptr_t, Allocation> by_begin;
};

Memory& memory() {
  static auto& all = *new Memory;  // threads may outlive main()
  return all;
}

std::uintptr_t number(const void* pointer) { return reinterpret_cast<std::uintptr_t>(pointer); }

/// The allocation that holds the address or ends there.
std::optional<Allocation> find(const void* pointer) {
  const std::lock_guard lock(memory().mutex);
  auto next = memory().by_begin.upper_bound(number(pointer));
  if (next == memory().by_begin.begin()) return std::nullopt;
  const Allocation& found = (--next)->second;
  if (number(pointer) - found.begin > found.bytes) return std::nullopt;
  return found;
}

void* allocate(Device& device, std::size_t bytes, Origin origin) {
  device.check();
  if (bytes == 0) return nullptr;
  constexpr std::size_t alignment = 256;
  const std::size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  require(rounded >= bytes, cudaErrorMemoryAllocation);
  const std::lock_guard lock(memory().mutex);
  if (origin != Origin::host) {
    require(rounded <= device.memory_bytes - device.allocated_bytes, cudaErrorMemoryAllocation);
  }
  void* start = nullptr;
  require(posix_memalign(&start, alignment, bytes) == 0, cudaErrorMemoryAllocation);
  std::memset(start, 0xFF, bytes);  // NaN as any float: what nobody wrote must not pass for a number
  if (origin != Origin::host) device.allocated_bytes += rounded;
  memory().by_begin[number(start)] = {number(start), bytes, &device, origin};
  return start;
}

/// Forgets the allocation that begins there. Throws cudaErrorInvalidValue if there is none.
Allocation take(const void* start) {
  const std::lock_guard lock(memory().mutex);
  const auto found = memory().by_begin.find(number(start));
  require(found != memory().by_begin.end(), cudaErrorInvalidValue);
  const Allocation taken = found->second;
  memory().by_begin.erase(found);
  if (!taken.on_host()) taken.device->allocated_bytes -= (taken.bytes + 255) / 256 * 256;
  return taken;
}

/// Throws if CUDA knows the memory and the range leaves it, or if it must be a device's and is not.
void check_range(const void* start, std::size_t bytes, bool must_be_device) {
  const auto allocation = find(start);
  // The program's own memory may begin where an allocation ends.
  if (!allocation || (bytes > 0 && number(start) == allocation->begin + allocation->bytes)) {
    require(!must_be_device, cudaErrorInvalidValue);
    return;  // the program's own memory
  }
  require(bytes <= allocation->begin + allocation->bytes - number(start), cudaErrorInvalidValue);
}

void check_copy(const void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  check_range(to, bytes, kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice);
  check_range(from, bytes, kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice);
}

/// Copies and sets are checked once more when they run, for the memory may be gone by then.
void copy_now(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  try {
    check_copy(to, from, bytes, kind);
    std::memmove(to, from, bytes);
  } catch (const Failure&) {
    fail_device(cudaErrorIllegalAddress);
  }
}

void copy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, StreamState& stream) {
  stream.device.check();
  if (bytes == 0) return;
  check_copy(to, from, bytes, kind);
  stream.submit({Kind::transfer, &stream.device, [=] { copy_now(to, from, bytes, kind); }});
}

/// From the program's own memory to a GPU's: the call is over when all is read, and what was read may still
/// be on its way, in the order of that stream.
void copy_by_way_of_staging(void* to, const void* from, std::size_t bytes, StreamState& stream) {
  stream.device.check();
  check_copy(to, from, bytes, cudaMemcpyHostToDevice);
  const auto* begin = static_cast<const std::byte*>(from);
  const auto staging = std::make_shared<const std::vector<std::byte>>(begin, begin + bytes);
  stream.submit({Kind::transfer, &stream.device,
                 [=] { copy_now(to, staging->data(), bytes, cudaMemcpyHostToDevice); }});
}

void set(void* to, int value, std::size_t bytes, StreamState& stream) {
  stream.device.check();
  if (bytes == 0) return;
  check_range(to, bytes, true);
  stream.submit({Kind::transfer, &stream.device, [=] {
                   if (accessible(running_device()->index, to, bytes)) {
                     std::memset(to, value, bytes);
                   } else {
                     fail_device(cudaErrorIllegalAddress);
                   }
                 }});
}

void wait_for(StreamState& stream) {
  stream.thread.drain();
  stream.device.check();
}

}  // namespace

bool accessible(int device, const void* data, std::size_t bytes) {
  const auto allocation = find(data);
  if (!allocation || bytes > allocation->begin + allocation->bytes - number(data)) return false;
  if (allocation->on_host() || allocation->device->index == device) return true;
  const std::lock_guard lock(memory().mutex);
  return allocation->origin == Origin::pool ? allocation->device->pool_readers.contains(device)
                                            : device_at(device).peers.contains(allocation->device->index);
}

}  // namespace tardigrad::emulation

using namespace tardigrad::emulation;

cudaError_t cudaMalloc(void** start, std::size_t bytes) {
  return api([&] {
    require_no_unsafe_capture();
    *start = allocate(current_device(), bytes, Origin::device);
  });
}

cudaError_t cudaFree(void* start) {
  return api([&] {
    require_no_unsafe_capture();
    if (start == nullptr) return current_device().check();
    const auto found = find(start);
    require(found && !found->on_host(), cudaErrorInvalidValue);
    drain(*found->device);
    take(start);
    std::free(start);
    found->device->check();
  });
}

cudaError_t cudaMallocAsync(void** start, std::size_t bytes, cudaStream_t on) {
  return api([&] {
    StreamState& stream = stream_of(on);
    if (const auto capture = stream.active_capture()) {
      throw Failure{cudaErrorNotSupported};  // would be a memory node
    }
    *start = allocate(stream.device, bytes, Origin::pool);
  });
}

cudaError_t cudaFreeAsync(void* start, cudaStream_t on) {
  return api([&] {
    StreamState& stream = stream_of(on);
    if (start == nullptr) return stream.device.check();
    const auto found = find(start);
    require(found && found->begin == number(start) && found->origin == Origin::pool, cudaErrorInvalidValue);
    if (const auto capture = stream.active_capture()) throw Failure{cudaErrorNotSupported};
    // Whatever became of the device: the memory is the program's to the emulation, and leak checkers look.
    stream.push({Kind::order, &stream.device, [start] {
                   try {
                     take(start);
                     std::free(start);
                   } catch (const Failure&) {
                     std::fprintf(stderr, "emulated CUDA: memory is freed twice\n");
                     std::abort();
                   }
                 }});
    stream.device.check();
  });
}

cudaError_t cudaHostAlloc(void** start, std::size_t bytes, unsigned) {
  return api([&] {
    require_no_unsafe_capture();
    *start = allocate(current_device(), bytes, Origin::host);
  });
}
cudaError_t cudaMallocHost(void** start, std::size_t bytes) {
  return cudaHostAlloc(start, bytes, cudaHostAllocDefault);
}

/// Host memory outlives the failure of a device.
cudaError_t cudaFreeHost(void* start) {
  return api([&] {
    require_no_unsafe_capture();
    if (start == nullptr) return;
    const auto found = find(start);
    require(found && found->origin == Origin::host, cudaErrorInvalidValue);
    drain(*found->device);
    take(start);
    std::free(start);
    found->device->check();
  });
}

cudaError_t cudaHostRegister(void* start, std::size_t bytes, unsigned) {
  return api([&] {
    current_device().check();
    require(start != nullptr && bytes > 0, cudaErrorInvalidValue);
    require(!find(start), cudaErrorHostMemoryAlreadyRegistered);
    const std::lock_guard lock(memory().mutex);
    memory().by_begin[number(start)] = {number(start), bytes, &current_device(), Origin::registered};
  });
}

cudaError_t cudaHostUnregister(void* start) {
  return api([&] {
    const auto found = find(start);
    require(found && found->origin == Origin::registered, cudaErrorHostMemoryNotRegistered);
    take(start);
  });
}

cudaError_t cudaHostGetDevicePointer(void** seen, void* start, unsigned) {
  return api([&] {
    const auto found = find(start);
    require(found && found->on_host(), cudaErrorInvalidValue);
    *seen = start;
  });
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* pointer) {
  return api([&] {
    const auto found = find(pointer);
    *attributes = {};
    attributes->device = found ? found->device->index : -1;
    attributes->type = !found             ? cudaMemoryTypeUnregistered
                       : found->on_host() ? cudaMemoryTypeHost
                                          : cudaMemoryTypeDevice;
    if (found) attributes->devicePointer = const_cast<void*>(pointer);
    if (!found || found->on_host()) attributes->hostPointer = const_cast<void*>(pointer);
  });
}

cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  return api([&] {
    Device& device = current_device();
    device.check();
    const std::lock_guard lock(memory().mutex);
    *free = device.memory_bytes - device.allocated_bytes;
    *total = device.memory_bytes;
  });
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t on) {
  return api([&] { copy(to, from, bytes, kind, stream_of(on)); });
}

cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  return api([&] {
    require_no_unsafe_capture();
    StreamState& stream = stream_of(nullptr);
    const auto target = find(to);
    if (bytes > 0 && !find(from) && target && !target->on_host()) {
      copy_by_way_of_staging(to, from, bytes, stream);
    } else {
      copy(to, from, bytes, kind, stream);
      wait_for(stream);
    }
  });
}

cudaError_t cudaMemcpyPeerAsync(void* to, int to_device, const void* from, int from_device, std::size_t bytes,
                                cudaStream_t on) {
  return api([&] {
    if (bytes > 0) {
      const auto target = find(to);
      const auto source = find(from);
      require(target && target->device == &device_at(to_device), cudaErrorInvalidValue);
      require(source && source->device == &device_at(from_device), cudaErrorInvalidValue);
    }
    copy(to, from, bytes, cudaMemcpyDeviceToDevice, stream_of(on));
  });
}

cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t on) {
  return api([&] { set(to, value, bytes, stream_of(on)); });
}

cudaError_t cudaMemset(void* to, int value, std::size_t bytes) {
  return api([&] {
    require_no_unsafe_capture();
    set(to, value, bytes, stream_of(nullptr));
    if (const auto target = find(to); !target || target->on_host()) wait_for(stream_of(nullptr));
  });
}

// Pools: each device has its default one, whose handle is the device's.

namespace {

Device& device_of_pool(cudaMemPool_t pool) {
  for (const auto& device : devices()) {
    if (reinterpret_cast<cudaMemPool_t>(device.get()) == pool) return *device;
  }
  throw Failure{cudaErrorInvalidValue};
}

}  // namespace

cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t* pool, int device) {
  return api([&] {
    device_at(device).check();
    *pool = reinterpret_cast<cudaMemPool_t>(&device_at(device));
  });
}

cudaError_t cudaMemPoolSetAccess(cudaMemPool_t pool, const cudaMemAccessDesc* list, std::size_t count) {
  return api([&] {
    Device& device = device_of_pool(pool);
    device.check();
    for (const cudaMemAccessDesc* access = list; access != list + count; ++access) {
      int reachable = 0;
      require(access->location.type == cudaMemLocationTypeDevice, cudaErrorInvalidValue);
      require(cudaDeviceCanAccessPeer(&reachable, access->location.id, device.index) == cudaSuccess &&
                  reachable == 1,
              cudaErrorInvalidDevice);
      const std::lock_guard lock(memory().mutex);
      if (access->flags == cudaMemAccessFlagsProtNone) {
        device.pool_readers.erase(access->location.id);
      } else {
        device.pool_readers.insert(access->location.id);
      }
    }
  });
}

cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t pool, cudaMemPoolAttr attribute, void* value) {
  return api([&] {
    Device& device = device_of_pool(pool);
    if (attribute == cudaMemPoolAttrReleaseThreshold) {
      device.release_threshold = *static_cast<std::uint64_t*>(value);
    }
  });
}

cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t pool, cudaMemPoolAttr attribute, void* value) {
  return api([&] {
    Device& device = device_of_pool(pool);
    const std::lock_guard lock(memory().mutex);
    switch (attribute) {
      case cudaMemPoolAttrReleaseThreshold:
        *static_cast<std::uint64_t*>(value) = device.release_threshold;
        break;
      case cudaMemPoolAttrReservedMemCurrent:
      case cudaMemPoolAttrUsedMemCurrent:
        *static_cast<std::uint64_t*>(value) = device.allocated_bytes;
        break;
      default:
        throw Failure{cudaErrorNotSupported};
    }
  });
}

/// Nothing is kept in the pools, so that AddressSanitizer sees the use of what was freed.
cudaError_t cudaMemPoolTrimTo(cudaMemPool_t pool, std::size_t) {
  return api([&] { device_of_pool(pool).check(); });
}
