#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "kernels/operation.h"

namespace tardigrad {

inline constexpr int threads_per_block = 256;

/// Throws std::runtime_error naming the operation, the call and the device, with CUDA's text.
inline void check_cuda(cudaError_t status, const char* operation, const char* call) {
  if (status == cudaSuccess) return;
  int device = -1;
  static_cast<void>(cudaGetDevice(&device));
  throw std::runtime_error(std::string(operation) + ": " + call + " on device " + std::to_string(device) +
                           ": " + cudaGetErrorName(status) + " (" + cudaGetErrorString(status) + ")");
}

struct Grid {
  std::size_t blocks;  ///< as many as the work needs
  int threads = threads_per_block;
  bool all = false;  ///< launch them all, for a kernel that does not go on to a second item by itself
};

/// Returns how many blocks of a kernel the current device can hold at once. CUDA takes microseconds to
/// answer; each host thread remembers what it was told.
inline std::size_t resident_blocks(const char* operation, const void* kernel, int threads) {
  struct Answer {
    const void* kernel;
    int device;
    int threads;
    std::size_t blocks;
  };
  thread_local std::vector<Answer> answers;
  int device = 0;
  check_cuda(cudaGetDevice(&device), operation, "cudaGetDevice");
  for (const Answer& known : answers) {
    if (known.kernel == kernel && known.device == device && known.threads == threads) return known.blocks;
  }
  int multiprocessors = 0;
  int blocks_each = 0;
  check_cuda(cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device), operation,
             "cudaDeviceGetAttribute");
  check_cuda(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks_each, kernel, threads, 0), operation,
             "cudaOccupancyMaxActiveBlocksPerMultiprocessor");
  const std::size_t blocks =
      static_cast<std::size_t>(multiprocessors) * static_cast<std::size_t>(blocks_each);
  answers.push_back({kernel, device, threads, blocks});
  return blocks;
}

/// Launches a kernel on the current device with the blocks asked for, but, unless they are all to be, no more
/// than it can hold at once: a grid-stride kernel.
template <typename... Parameters, typename... Arguments>
void launch_kernel(const char* operation, void (*kernel)(Parameters...), Grid grid, CudaStream stream,
                   Arguments&&... arguments) {
  std::size_t blocks = grid.blocks;
  if (!grid.all) {
    const auto* address = reinterpret_cast<const void*>(kernel);
    blocks = std::min(blocks, resident_blocks(operation, address, grid.threads));
  }
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(static_cast<unsigned>(blocks));
  config.blockDim = dim3(static_cast<unsigned>(grid.threads));
  config.stream = stream;
  check_cuda(cudaLaunchKernelEx(&config, kernel, std::forward<Arguments>(arguments)...), operation,
             "cudaLaunchKernelEx");
}

/// Returns the blocks for one thread per item.
inline Grid grid_for(std::size_t items) { return {(items + threads_per_block - 1) / threads_per_block}; }
inline Grid all_for(std::size_t items) { return {grid_for(items).blocks, threads_per_block, true}; }

/// Returns the first of the items that a thread of a grid-stride kernel takes, as the next one returns the
/// distance to its next.
__device__ inline std::size_t grid_first() {
  return static_cast<std::size_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}
__device__ inline std::size_t grid_stride() { return static_cast<std::size_t>(gridDim.x) * blockDim.x; }

}  // namespace tardigrad
