#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <functional>
#include <vector>

namespace tardigrad::emulation {

/// Device memory that a library call reads or writes.
struct Operand {
  const char* name;  ///< as the call's documentation names it
  const void* data;
  std::size_t bytes;
};

/// Puts the computation of the library function `call` at the end of `stream`, as stream_work.h's enqueue()
/// does. Each time it runs, its operands must be memory that the stream's device can access; if one is not,
/// stderr says which, nothing is computed and the device fails with cudaErrorIllegalAddress, as a GPU would.
/// As for a kernel, the stream must be of the current device (else cudaErrorInvalidResourceHandle).
cudaError_t enqueue_call(cudaStream_t stream, const char* call, std::vector<Operand> operands,
                         std::function<void()> work);

}  // namespace tardigrad::emulation
