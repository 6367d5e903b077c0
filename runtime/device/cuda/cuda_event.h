#pragma once

#include "runtime/device/backend.h"
#include "runtime/device/cuda/check.h"

namespace tardigrad::cuda {

class CudaEvent final : public detail::EventImpl {
 public:
  CudaEvent(Device device, bool timed) : EventImpl(device, timed) {
    const CurrentDevice current(device);
    const unsigned flags = timed ? cudaEventDefault : cudaEventDisableTiming;
    TARDIGRAD_CUDA_CHECK(cudaEventCreateWithFlags(&event_, flags), device);
  }
  CudaEvent(const CudaEvent&) = delete;
  CudaEvent& operator=(const CudaEvent&) = delete;
  ~CudaEvent() override { static_cast<void>(cudaEventDestroy(event_)); }

  cudaEvent_t native() const { return event_; }

  bool complete() const override {
    const cudaError_t status = cudaEventQuery(event_);
    if (status == cudaErrorNotReady) return false;
    TARDIGRAD_CUDA_CHECK(status, device());
    return true;
  }

  void synchronize() const override { TARDIGRAD_CUDA_CHECK(cudaEventSynchronize(event_), device()); }

  double seconds_since(const EventImpl& start) const override {
    float elapsed_ms = 0;
    const auto& from = static_cast<const CudaEvent&>(start);
    TARDIGRAD_CUDA_CHECK(cudaEventElapsedTime(&elapsed_ms, from.event_, event_), device());
    return static_cast<double>(elapsed_ms) * 1e-3;
  }

 private:
  cudaEvent_t event_ = nullptr;
};

}  // namespace tardigrad::cuda
