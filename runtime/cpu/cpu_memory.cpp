#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <limits>

#include "runtime/backend.h"

namespace tardigrad::cpu {
namespace {

constexpr std::size_t cache_line_bytes = 64;
constexpr std::size_t huge_page_bytes = std::size_t{2} << 20;

std::string processor_model() {
  std::ifstream cpuinfo("/proc/cpuinfo");
  for (std::string line; std::getline(cpuinfo, line);) {
    const std::size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "CPU";
}

}  // namespace

/// Aligned by hand: what aligned_alloc gave and got back, glibc before 2.38 seldom finds again for the next
/// one of that size (its bug 14581), so that a heap where vectors come and go grows and grows: by some 6 MB
/// with each checkpoint of a table of 24 MB, as tools/soak.py found. What malloc gave stands right before the
/// memory.
void* allocate(Device device, std::size_t bytes) {
  // Vectors of a model are streamed through: huge pages save the address look-ups.
  const std::size_t alignment = bytes >= huge_page_bytes ? huge_page_bytes : cache_line_bytes;
  const std::size_t padded_bytes = (bytes + alignment - 1) / alignment * alignment;
  const std::size_t whole_bytes = padded_bytes + alignment;
  void* const whole = whole_bytes < bytes ? nullptr : std::malloc(whole_bytes);
  if (!whole) throw DeviceError(device, fmt::format("{}: no memory for {} bytes", device.name(), bytes));
  const std::size_t to_next = alignment - reinterpret_cast<std::uintptr_t>(whole) % alignment;
  std::byte* const memory = static_cast<std::byte*>(whole) + to_next;
  std::memcpy(memory - sizeof(whole), &whole, sizeof(whole));
  if (alignment == huge_page_bytes) madvise(memory, padded_bytes, MADV_HUGEPAGE);
  return memory;
}

void deallocate(void* memory) noexcept {
  if (!memory) return;
  void* whole = nullptr;
  std::memcpy(&whole, static_cast<std::byte*>(memory) - sizeof(whole), sizeof(whole));
  std::free(whole);
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
