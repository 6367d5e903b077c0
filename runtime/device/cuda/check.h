#pragma once

#include <cuda_runtime.h>

#include "runtime/device/device.h"

namespace tardigrad::cuda {

/// Throws DeviceError "cuda:1: <expression>: <CUDA's text>" unless the status is cudaSuccess.
inline void check(cudaError_t status, const char* expression, Device device) {
  if (status == cudaSuccess) return;
  throw DeviceError(device, device.name() + ": " + expression + ": " + cudaGetErrorString(status));
}

/// Makes a device current for this scope on the calling thread.
class CurrentDevice {
 public:
  explicit CurrentDevice(Device device) {
    check(cudaGetDevice(&previous_), "cudaGetDevice", device);
    if (previous_ != device.index) check(cudaSetDevice(device.index), "cudaSetDevice", device);
  }
  CurrentDevice(const CurrentDevice&) = delete;
  CurrentDevice& operator=(const CurrentDevice&) = delete;
  ~CurrentDevice() { static_cast<void>(cudaSetDevice(previous_)); }

 private:
  int previous_ = 0;
};

}  // namespace tardigrad::cuda

/// Checks a call and keeps its text for the message. It is the one macro of the backend.
#define TARDIGRAD_CUDA_CHECK(expression, device) ::tardigrad::cuda::check((expression), #expression, (device))
