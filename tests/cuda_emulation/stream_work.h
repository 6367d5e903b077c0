#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <functional>

namespace tardigrad::emulation {

/// Puts `work` at the end of `stream`, as a kernel launch would be: it runs in stream order on the stream's
/// thread, once; or, while the stream is being captured, becomes a node of the graph and runs at each launch
/// of it. So it must be repeatable, must own what it needs (pointers to device memory excepted), and must not
/// throw. Returns what a launch would: cudaSuccess, or the sticky error of a failed device, or
/// cudaErrorInvalidResourceHandle.
cudaError_t enqueue(cudaStream_t stream, std::function<void()> work);

/// From within `work`: makes the stream's device fail with `error`, as an illegal access in a kernel does.
/// Every later call on that device returns it, and nothing more runs there.
void fail_device(cudaError_t error);

/// Whether [data, data + bytes) lies within one live allocation that `device` may access (its own, a peer's
/// that it has enabled, or page-locked host memory): for library calls that are to reject what a GPU would
/// fault on.
bool accessible(int device, const void* data, std::size_t bytes);

/// The device of `stream`.
int device_of(cudaStream_t stream);

}  // namespace tardigrad::emulation
