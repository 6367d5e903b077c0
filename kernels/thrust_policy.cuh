#pragma once

#include <cuda_runtime.h>

#include "kernels/launch.cuh"
#include "kernels/operation.h"

#if defined(__CUDACC__)
#include <thrust/system/cuda/execution_policy.h>
#else
#include <thrust/execution_policy.h>
#endif

/// The only way to Thrust, which takes seconds to compile: sources include this, headers do not.

namespace tardigrad {

/// How Thrust works on the memory of a stream's device, after what the stream was given before. Without a
/// CUDA compiler (emulation, in which the host reads that memory) that is on the host, once the stream is
/// done.
inline auto thrust_policy([[maybe_unused]] const char* operation, CudaStream stream) {
#if defined(__CUDACC__)
  return thrust::cuda::par.on(stream);
#else
  check_cuda(cudaStreamSynchronize(stream), operation, "cudaStreamSynchronize");
  return thrust::host;
#endif
}

}  // namespace tardigrad
