#pragma once

#include <cuda_runtime.h>

#include <cstddef>

#include "kernels/launch.cuh"
#include "kernels/operation.h"

#if defined(__CUDACC__)
#include <thrust/system/cuda/execution_policy.h>
#else
#include <thrust/execution_policy.h>
#endif

/// Is the only way to Thrust, which takes seconds to compile: sources include this, headers do not.

namespace tardigrad {

/// Gives Thrust scratch in the order of a stream. What Thrust takes by itself, cudaMalloc, may wait for
/// kernels of other streams, throttled workers' included.
class ThrustScratch {
 public:
  using value_type = char;

  ThrustScratch(const char* operation, CudaStream stream) : operation_(operation), stream_(stream) {}

  char* allocate(std::ptrdiff_t bytes) const {
    void* memory = nullptr;
    check_cuda(cudaMallocAsync(&memory, static_cast<std::size_t>(bytes), stream_), operation_,
               "cudaMallocAsync");
    return static_cast<char*>(memory);
  }
  void deallocate(char* memory, std::size_t) const { static_cast<void>(cudaFreeAsync(memory, stream_)); }

  const char* operation() const { return operation_; }
  CudaStream stream() const { return stream_; }

 private:
  const char* operation_;
  CudaStream stream_;
};

/// Returns the policy by which Thrust works on the memory of a stream's device, after what the stream was
/// given before. Without a CUDA compiler (emulation, in which the host reads that memory) that is on the
/// host, once the stream is done.
inline auto thrust_policy(ThrustScratch& scratch) {
#if defined(__CUDACC__)
  return thrust::cuda::par(scratch).on(scratch.stream());
#else
  check_cuda(cudaStreamSynchronize(scratch.stream()), scratch.operation(), "cudaStreamSynchronize");
  return thrust::host;
#endif
}

}  // namespace tardigrad
