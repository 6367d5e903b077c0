#pragma once

#include <cublasLt.h>
#include <cudnn.h>

#include <array>
#include <string>

#include "runtime/device/cuda/check.h"

/// Checks the statuses of cuDNN and cuBLAS by TARDIGRAD_CUDA_CHECK, too.
namespace tardigrad::cuda {

/// Throws DeviceError "cuda:1: <expression>: <cuDNN's text>" unless the status is a success.
inline void check(cudnnStatus_t status, const char* expression, Device device) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  std::array<char, 512> detail{};  // what cuDNN says beyond the status, of the last failure on this thread
  cudnnGetLastErrorString(detail.data(), detail.size());
  throw DeviceError(device, device.name() + ": " + expression + ": " + cudnnGetErrorString(status) +
                                (detail[0] == '\0' ? "" : std::string(" (") + detail.data() + ")"));
}

/// Throws DeviceError "cuda:1: <expression>: <cuBLAS's text>" unless the status is a success.
inline void check(cublasStatus_t status, const char* expression, Device device) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw DeviceError(device, device.name() + ": " + expression + ": " + cublasLtGetStatusString(status));
}

}  // namespace tardigrad::cuda
