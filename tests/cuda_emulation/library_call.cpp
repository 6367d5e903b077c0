#include "tests/cuda_emulation/library_call.h"

#include <cstdio>
#include <utility>

#include "tests/cuda_emulation/stream_work.h"

namespace tardigrad::emulation {

cudaError_t enqueue_call(cudaStream_t stream, const char* call, std::vector<Operand> operands,
                         std::function<void()> work) {
  int device = -1;
  if (const cudaError_t status = cudaStreamGetDevice(stream, &device); status != cudaSuccess) return status;
  int current = -1;
  if (const cudaError_t status = cudaGetDevice(&current); status != cudaSuccess) return status;
  if (current != device) return cudaErrorInvalidResourceHandle;
  return enqueue(stream, [=, operands = std::move(operands), work = std::move(work)] {
    for (const Operand& operand : operands) {
      if (operand.bytes == 0 || accessible(device, operand.data, operand.bytes)) continue;
      std::fprintf(stderr, "%s: %s at %p is not %zu bytes of memory that device %d can access\n", call,
                   operand.name, operand.data, operand.bytes, device);
      fail_device(cudaErrorIllegalAddress);
      return;
    }
    work();
  });
}

}  // namespace tardigrad::emulation
