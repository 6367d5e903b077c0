#pragma once

#include <cstddef>
#include <utility>

#include "kernels/operation.h"
#include "models/precision.h"
#include "runtime/device/cuda/check_libraries.h"
#include "runtime/device/start_times.h"

namespace tardigrad::models::cuda {

using tardigrad::cuda::CurrentDevice;

/// Owns what a C library makes and destroys.
template <typename Handle, auto Destroy>
class Owned {
 public:
  Owned() = default;
  Owned(Owned&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Owned& operator=(Owned&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  ~Owned() {
    if (handle_) static_cast<void>(Destroy(handle_));
  }

  Handle get() const { return handle_; }

  /// Returns where the function that makes the handle puts it. It is called once.
  Handle* receive() { return &handle_; }

 private:
  Handle handle_ = nullptr;
};

/// Holds cuDNN and cuBLASLt for one host thread at a time.
struct Libraries {
  explicit Libraries(Device device) {
    const StartPart part("GPU libraries");
    const CurrentDevice current(device);
    TARDIGRAD_CUDA_CHECK(cudnnCreate(cudnn.receive()), device);
    TARDIGRAD_CUDA_CHECK(cublasLtCreate(cublas.receive()), device);
  }

  Owned<cudnnHandle_t, cudnnDestroy> cudnn;
  Owned<cublasLtHandle_t, cublasLtDestroy> cublas;
};

/// Holds what layers are run with: a stream, with the device current, and scratch of that stream, which they
/// use one after another.
struct Execution {
  CudaStream stream = nullptr;
  cudnnHandle_t cudnn = nullptr;  ///< Set to the stream by each layer.
  cublasLtHandle_t cublas = nullptr;
  void* workspace = nullptr;
  std::size_t workspace_bytes = 0;
};

/// Returns the type of the elements of a convolution in that precision.
inline cudnnDataType_t cudnn_type_of(Precision precision) {
  return precision == Precision::bf16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;
}

/// Says how algorithms are chosen.
struct Search {
  bool deterministic = false;  ///< No measuring, and only algorithms that give the same bits in every run.
  std::size_t workspace_limit = 0;  ///< Bytes that an algorithm may use.
  bool fuse = true;                 ///< Products do what follows them, where they can.
};

}  // namespace tardigrad::models::cuda
