#pragma once

/// Says what a kernel looks like to its caller.
///
/// An operation is a value that holds all its arguments (sizes and raw pointers; it owns nothing). It
/// declares
///   - `static constexpr const char* name`: what errors and traces call it;
///   - `void run() const`: computes on the calling thread; every pointer is to host memory;
///   - `void launch(CudaStream) const`: enqueues the same computation on a native CUDA stream and returns at
///   once;
///     every pointer is to memory that device can reach. Defined only in builds with CUDA;
///   - `double bytes() const`, `double flops() const`: what it must move (each operand once) and compute at
///   least.
/// Both forms accept empty input and then do nothing.

struct CUstream_st;  // what cudaStream_t points to; saves every header from including CUDA's

namespace tardigrad {

using CudaStream = CUstream_st*;

/// Is true in builds that contain the CUDA backend (which may still find no GPU when they run).
inline constexpr bool built_with_cuda = TARDIGRAD_CUDA != 0;

}  // namespace tardigrad

#if defined(__CUDACC__)
#define TARDIGRAD_HOST_DEVICE __host__ __device__
#else
#define TARDIGRAD_HOST_DEVICE
#endif
