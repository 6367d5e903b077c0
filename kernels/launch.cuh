#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <utility>

#include "kernels/operation.h"

namespace tardigrad {

inline constexpr int threads_per_block = 256;

/// Throws std::runtime_error naming the operation, the call and the device, with CUDA's text.
inline void check_cuda(cudaError_t status, const char* operation, const char* call) {
  if (status == cudaSuccess) {
    return;
  }
  int device = -1;
  static_cast<void>(cudaGetDevice(&device));
  throw std::runtime_error(std::string(operation) + ": " + call + " on device " + std::to_string(device) +
                           ": " + cudaGetErrorName(status) + " (" + cudaGetErrorString(status) + ")");
}

struct Grid {
  std::size_t blocks;  ///< as many as the work needs
  int threads = threads_per_block;
};

/// Launches a grid-stride kernel on the current device: with the blocks asked for, but no more than it can
/// hold at once.
template <typename... Parameters, typename... Arguments>
void launch_kernel(const char* operation, void (*kernel)(Parameters...), Grid grid, CudaStream stream,
                   Arguments&&... arguments) {
  int device = 0;
  int multiprocessors = 0;
  int blocks_each = 0;
  check_cuda(cudaGetDevice(&device), operation, "cudaGetDevice");
  check_cuda(cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device), operation,
             "cudaDeviceGetAttribute");
  check_cuda(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks_each, kernel, grid.threads, 0), operation,
             "cudaOccupancyMaxActiveBlocksPerMultiprocessor");
  const auto resident = static_cast<std::size_t>(multiprocessors) * static_cast<std::size_t>(blocks_each);
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(static_cast<unsigned>(std::min(grid.blocks, resident)));
  config.blockDim = dim3(static_cast<unsigned>(grid.threads));
  config.stream = stream;
  check_cuda(cudaLaunchKernelEx(&config, kernel, std::forward<Arguments>(arguments)...), operation,
             "cudaLaunchKernelEx");
}

/// Blocks for one thread per item.
inline Grid grid_for(std::size_t items) { return {(items + threads_per_block - 1) / threads_per_block}; }

/// The first of the items that a thread of a grid-stride kernel takes, and the distance to its next.
__device__ inline std::size_t grid_first() {
  return static_cast<std::size_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}
__device__ inline std::size_t grid_stride() { return static_cast<std::size_t>(gridDim.x) * blockDim.x; }

}  // namespace tardigrad
