#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "tests/cuda_emulation/faults.h"
#include "tests/cuda_emulation/state.h"

namespace tardigrad::emulation {
namespace {

constexpr int multiprocessors = 4;  // few, so that grids are strided over
constexpr int threads_per_multiprocessor = 1024;
thread_local int current_index = 0;

long long from_environment(const char* name, long long otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : std::atoll(value);
}

std::vector<std::unique_ptr<Device>> make_devices() {
  std::vector<std::unique_ptr<Device>> made;
  const long long count = from_environment("TARDIGRAD_EMULATED_GPUS", 4);
  for (int index = 0; index < count; ++index) {
    auto device = std::make_unique<Device>();
    device->index = index;
    device->memory_bytes =
        static_cast<std::size_t>(from_environment("TARDIGRAD_EMULATED_MEMORY_MIB", 1024)) * 1024 * 1024;
    device->driver = new InOrderThread;
    made.push_back(std::move(device));
  }
  int failing = 0;
  long long nth = 0;
  const char* fault = std::getenv("TARDIGRAD_EMULATED_FAULT");
  if (fault != nullptr && std::sscanf(fault, "%d:%lld", &failing, &nth) == 2 && failing >= 0 &&
      failing < count) {
    Device& device = *made[static_cast<std::size_t>(failing)];
    device.launches_to_failure = nth;
    device.hangs = std::string_view(fault).ends_with(":hang");
  }
  return made;
}

bool peers_allowed() { return from_environment("TARDIGRAD_EMULATED_PEER_ACCESS", 1) != 0; }

}  // namespace

std::vector<std::unique_ptr<Device>>& devices() {
  static auto& all = *new std::vector<std::unique_ptr<Device>>(make_devices());  // threads may outlive main()
  return all;
}

Device& device_at(int index) {
  require(!devices().empty(), cudaErrorNoDevice);
  require(index >= 0 && static_cast<std::size_t>(index) < devices().size(), cudaErrorInvalidDevice);
  return *devices()[static_cast<std::size_t>(index)];
}

Device& current_device() { return device_at(current_index); }

void drain(const Device& device) {
  StreamState::for_each_until_true([&](const StreamState& stream) {
    if (&stream.device != &device) return false;
    const bool gets_no_more = stream.ended();
    stream.thread.drain();
    return gets_no_more;
  });
}

void fail_launch(int device, long long nth) { device_at(device).launches_to_failure = nth; }

void mend(int device) {
  device_at(device).launches_to_failure = -1;
  device_at(device).failure = cudaSuccess;
}

}  // namespace tardigrad::emulation

using namespace tardigrad::emulation;

cudaError_t cudaGetDeviceCount(int* count) {
  return api([&] {
    *count = static_cast<int>(devices().size());
    require(*count > 0, cudaErrorNoDevice);
  });
}

cudaError_t cudaGetDevice(int* device) {
  return api([&] { *device = current_index; });
}

cudaError_t cudaSetDevice(int device) {
  return api([&] {
    Device& chosen = device_at(device);
    current_index = device;
    chosen.check();
  });
}

cudaError_t cudaDeviceSynchronize() {
  return api([&] {
    require_no_unsafe_capture();
    drain(current_device());
    current_device().check();
  });
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  return api([&] {
    device_at(device).check();
    switch (attribute) {
      case cudaDevAttrMultiProcessorCount:
        *value = multiprocessors;
        break;
      case cudaDevAttrMaxThreadsPerBlock:
        *value = 1024;
        break;
      case cudaDevAttrMaxThreadsPerMultiProcessor:
        *value = threads_per_multiprocessor;
        break;
      case cudaDevAttrMaxSharedMemoryPerBlock:
        *value = 48 * 1024;
        break;
      case cudaDevAttrWarpSize:
        *value = 32;
        break;
      case cudaDevAttrComputeCapabilityMajor:
        *value = 9;
        break;
      case cudaDevAttrComputeCapabilityMinor:
        *value = 0;
        break;
      case cudaDevAttrClockRate:
        *value = 1'000'000;
        break;
      case cudaDevAttrMemoryClockRate:
        *value = 1'000'000;
        break;
      case cudaDevAttrGlobalMemoryBusWidth:
        *value = 64;
        break;
      case cudaDevAttrL2CacheSize:
        *value = 1024 * 1024;
        break;
      case cudaDevAttrMemoryPoolsSupported:
      case cudaDevAttrUnifiedAddressing:
      case cudaDevAttrCanMapHostMemory:
      case cudaDevAttrStreamPrioritiesSupported:
      case cudaDevAttrConcurrentKernels:
      case cudaDevAttrAsyncEngineCount:
        *value = 1;
        break;
      case cudaDevAttrPciBusId:
      case cudaDevAttrPciDeviceId:
        *value = device;
        break;
      case cudaDevAttrPciDomainId:
      case cudaDevAttrPageableMemoryAccess:
      case cudaDevAttrManagedMemory:
      case cudaDevAttrConcurrentManagedAccess:
      case cudaDevAttrCooperativeLaunch:
      case cudaDevAttrComputeMode:
      case cudaDevAttrIntegrated:
        *value = 0;
        break;
      default:
        throw Failure{cudaErrorNotSupported};
    }
  });
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int index) {
  return api([&] {
    const Device& device = device_at(index);
    device.check();
    *properties = {};
    std::strncpy(properties->name, "Emulated GPU", sizeof properties->name - 1);
    properties->uuid.bytes[0] = static_cast<char>(index + 1);
    properties->totalGlobalMem = device.memory_bytes;
    properties->major = 9;
    properties->minor = 0;
    properties->multiProcessorCount = multiprocessors;
    properties->warpSize = 32;
    properties->maxThreadsPerBlock = 1024;
    properties->maxThreadsPerMultiProcessor = threads_per_multiprocessor;
    properties->sharedMemPerBlock = 48 * 1024;
    properties->unifiedAddressing = 1;
    properties->canMapHostMemory = 1;
    properties->memoryPoolsSupported = 1;
    properties->concurrentKernels = 1;
    properties->asyncEngineCount = 1;
    properties->memoryBusWidth = 64;
    properties->l2CacheSize = 1024 * 1024;
    properties->pciBusID = index;
  });
}

cudaError_t cudaDeviceGetPCIBusId(char* id, int size, int device) {
  return api([&] {
    device_at(device);
    std::snprintf(id, static_cast<std::size_t>(size), "0000:%02x:00.0", static_cast<unsigned>(device));
  });
}

cudaError_t cudaDeviceCanAccessPeer(int* can, int device, int peer) {
  return api([&] {
    device_at(device);
    device_at(peer);
    *can = device != peer && peers_allowed();
  });
}

cudaError_t cudaDeviceEnablePeerAccess(int peer, unsigned flags) {
  return api([&] {
    Device& device = current_device();
    device.check();
    require(flags == 0 && device_at(peer).index != device.index, cudaErrorInvalidDevice);
    require(peers_allowed(), cudaErrorPeerAccessUnsupported);
    require(device.peers.insert(peer).second, cudaErrorPeerAccessAlreadyEnabled);
  });
}

cudaError_t cudaDeviceDisablePeerAccess(int peer) {
  return api([&] {
    device_at(peer);
    require(current_device().peers.erase(peer) == 1, cudaErrorPeerAccessNotEnabled);
  });
}

cudaError_t cudaRuntimeGetVersion(int* version) {
  return api([&] { *version = CUDART_VERSION; });
}
cudaError_t cudaDriverGetVersion(int* version) { return cudaRuntimeGetVersion(version); }

// Kernels are functions of the program: all are there, and none has resources of its own.

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void* kernel) {
  return api([&] {
    require(kernel != nullptr, cudaErrorInvalidDeviceFunction);
    *attributes = {};
    attributes->maxThreadsPerBlock = 1024;
    attributes->numRegs = 32;
    attributes->binaryVersion = attributes->ptxVersion = 90;
  });
}

cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute, int) {
  return api([&] { require(kernel != nullptr, cudaErrorInvalidDeviceFunction); });
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks, const void* kernel,
                                                                   int threads, std::size_t shared_bytes,
                                                                   unsigned) {
  return api([&] {
    require(kernel != nullptr, cudaErrorInvalidDeviceFunction);
    require(threads > 0 && threads <= 1024, cudaErrorInvalidValue);
    require(shared_bytes == 0, cudaErrorNotSupported);
    current_device().check();
    *blocks = std::min(threads_per_multiprocessor / threads, 8);
  });
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void* kernel, int threads,
                                                          std::size_t shared_bytes) {
  return cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(blocks, kernel, threads, shared_bytes,
                                                                cudaOccupancyDefault);
}

cudaError_t cudaProfilerStart() { return cudaSuccess; }
cudaError_t cudaProfilerStop() { return cudaSuccess; }
