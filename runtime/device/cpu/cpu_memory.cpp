#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <limits>

#include "runtime/device/backend.h"

namespace tardigrad::cpu {
namespace {

constexpr std::size_t cache_line_bytes = 64;
constexpr std::size_t huge_page_bytes = std::size_t{2} << 20;

/// Memory as it was taken. It begins at a cache line, so that there is room for this before the next one.
struct Origin {
  void* begin;
  std::size_t bytes;  // whole cache lines
  bool mapped;

  void take() {
    if (mapped) {
      begin = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      if (begin == MAP_FAILED) begin = nullptr;
    } else {
      begin = std::aligned_alloc(cache_line_bytes, bytes);
    }
  }

  void give_back() const noexcept {
    if (mapped) {
      munmap(begin, bytes);
    } else {
      std::free(begin);
    }
  }
};
static_assert(sizeof(Origin) <= cache_line_bytes);

std::string processor_model() {
  std::ifstream cpuinfo("/proc/cpuinfo");
  for (std::string line; std::getline(cpuinfo, line);) {
    const std::size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "CPU";
}

}  // namespace

/// Vectors get memory of their own from the system, and give it back. In the heap, where they come and go
/// among small things that stay, they make it grow: by some 6 MB with each checkpoint of a table of 24 MB, as
/// measured with aligned_alloc. Right before the memory stands where it came from.
void* allocate(Device device, std::size_t bytes) {
  constexpr std::size_t least_mapped_bytes = std::size_t{128} << 10;
  // Vectors of a model are streamed through: huge pages save the address look-ups.
  const std::size_t alignment = bytes >= huge_page_bytes ? huge_page_bytes : cache_line_bytes;
  const std::size_t padded_bytes = (bytes + alignment - 1) / alignment * alignment;
  Origin origin{nullptr, padded_bytes + alignment, bytes >= least_mapped_bytes};
  if (origin.bytes > bytes) origin.take();
  if (!origin.begin) {
    throw DeviceError(device, fmt::format("{}: no memory for {} bytes", device.name(), bytes));
  }
  const std::size_t to_next = alignment - reinterpret_cast<std::uintptr_t>(origin.begin) % alignment;
  std::byte* const memory = static_cast<std::byte*>(origin.begin) + to_next;
  std::memcpy(memory - sizeof(origin), &origin, sizeof(origin));
  if (alignment == huge_page_bytes) madvise(memory, padded_bytes, MADV_HUGEPAGE);
  return memory;
}

void deallocate(void* memory) noexcept {
  if (!memory) return;
  Origin origin{};
  std::memcpy(&origin, static_cast<std::byte*>(memory) - sizeof(origin), sizeof(origin));
  origin.give_back();
}

DeviceDescription describe(Device device) {
  const auto pages = static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES));
  const auto page_bytes = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return {device, fmt::format("{}, {} hardware threads", processor_model(), default_cpu_devices()),
          pages * page_bytes};
}

/// As Linux estimates it, caches that can be given up counted; else the pages that nobody uses.
std::size_t free_memory() {
  std::ifstream meminfo("/proc/meminfo");
  std::string name;
  for (std::size_t kib = 0; meminfo >> name;
       meminfo.ignore(std::numeric_limits<std::streamsize>::max(), '\n')) {
    if (name == "MemAvailable:" && meminfo >> kib) return kib * 1024;
  }
  return static_cast<std::size_t>(sysconf(_SC_AVPHYS_PAGES)) *
         static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace tardigrad::cpu
