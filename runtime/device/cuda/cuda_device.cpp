#include <cublasLt.h>
#include <cudnn.h>
#include <fmt/format.h>
#include <nccl.h>

#include <array>
#include <cstdlib>

#include "runtime/device/backend.h"
#include "runtime/device/cuda/check.h"
#include "runtime/device/start_times.h"

namespace tardigrad::cuda {
namespace {

struct DeviceCount {
  int count = 0;
  std::string reason;  // why it is 0
};

/// Asked once: the driver's answer does not change while a process lives.
const DeviceCount& counted() {
  static const DeviceCount result = [] {
    const StartPart part("driver");
    // Hardware queues: with the default of 8, streams share them, and a throttled worker's stream would hold
    // up others. Read by the driver when it starts.
    setenv("CUDA_DEVICE_MAX_CONNECTIONS", "32", 0);
    int count = 0;
    const cudaError_t status = cudaGetDeviceCount(&count);
    if (status != cudaSuccess) {
      static_cast<void>(cudaGetLastError());
      int driver = 0;
      const bool no_driver = cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0;
      return DeviceCount{0, no_driver ? "no NVIDIA driver" : cudaGetErrorString(status)};
    }
    return DeviceCount{count, count == 0 ? "the driver shows no device" : ""};
  }();
  return result;
}

int attribute(Device device, cudaDeviceAttr which) {
  int value = 0;
  TARDIGRAD_CUDA_CHECK(cudaDeviceGetAttribute(&value, which, device.index), device);
  return value;
}

/// Single-precision operations that a multiprocessor begins in a clock (CUDA C++ Programming Guide, table of
/// the throughput of arithmetic instructions); 0 for what came after it.
int fp32_lanes(int major, int minor) {
  switch (major) {
    case 7:
      return 64;
    case 8:
      return minor == 0 ? 64 : 128;
    case 9:
    case 10:
    case 12:
      return 128;
    default:
      return 0;
  }
}

}  // namespace

int device_count() { return counted().count; }
std::string why_no_device() { return counted().reason; }

std::string library_versions() {
  int runtime = 0;
  static_cast<void>(cudaRuntimeGetVersion(&runtime));
  int nccl = 0;
  static_cast<void>(ncclGetVersion(&nccl));
  const std::size_t cudnn = cudnnGetVersion();
  return fmt::format("CUDA {}.{}, cuBLAS {}.{}.{}, cuDNN {}.{}.{}, NCCL {}.{}.{}", runtime / 1000,
                     runtime % 1000 / 10, CUBLAS_VER_MAJOR, CUBLAS_VER_MINOR, CUBLAS_VER_PATCH, cudnn / 10000,
                     cudnn % 10000 / 100, cudnn % 100, nccl / 10000, nccl % 10000 / 100, nccl % 100);
}

void* allocate_pinned(Device device, std::size_t bytes) {
  const CurrentDevice current(device);
  void* memory = nullptr;
  TARDIGRAD_CUDA_CHECK(cudaHostAlloc(&memory, bytes, cudaHostAllocPortable), device);
  return memory;
}

void deallocate_pinned(void* memory) noexcept { static_cast<void>(cudaFreeHost(memory)); }

DeviceDescription describe(Device device) {
  cudaDeviceProp properties{};
  TARDIGRAD_CUDA_CHECK(cudaGetDeviceProperties(&properties, device.index), device);
  const double clock_hz = 1e3 * attribute(device, cudaDevAttrClockRate);
  const double memory_hz = 1e3 * attribute(device, cudaDevAttrMemoryClockRate);
  return {device,
          fmt::format("{}, compute capability {}.{}, {} multiprocessors", properties.name, properties.major,
                      properties.minor, properties.multiProcessorCount),
          properties.totalGlobalMem,
          2 * clock_hz * properties.multiProcessorCount * fp32_lanes(properties.major, properties.minor),
          2 * memory_hz * properties.memoryBusWidth / 8};  // two transfers a clock
}

std::string bus_address(Device device) {
  std::array<char, 32> address{};
  TARDIGRAD_CUDA_CHECK(cudaDeviceGetPCIBusId(address.data(), static_cast<int>(address.size()), device.index),
                       device);
  return address.data();
}

bool peer_access(Device from, Device to) {
  int reachable = 0;
  TARDIGRAD_CUDA_CHECK(cudaDeviceCanAccessPeer(&reachable, from.index, to.index), from);
  return reachable != 0;
}

std::size_t free_memory(Device device) {
  const StartPart part("GPU contexts");
  const CurrentDevice current(device);
  std::size_t free_bytes = 0;
  std::size_t total_bytes = 0;
  TARDIGRAD_CUDA_CHECK(cudaMemGetInfo(&free_bytes, &total_bytes), device);
  return free_bytes;
}

}  // namespace tardigrad::cuda
