#pragma once

#include <memory>

#include "runtime/device/backend.h"
#include "runtime/device/cuda/check.h"

namespace tardigrad::cuda {

class CudaEvent final : public detail::EventImpl {
 public:
  CudaEvent(Device device, bool timed)
      : EventImpl(device, timed), native_(std::make_shared<Native>(device, timed)) {}

  /// Returns what has the latest record.
  cudaEvent_t native() const { return native_->event; }

  /// Returns what is to be recorded: by itself, so that events with the same point keep theirs.
  cudaEvent_t to_record() {
    if (native_.use_count() > 1) native_ = std::make_shared<Native>(device(), timed());
    return native_->event;
  }

  void take_point(const EventImpl& other) override { native_ = static_cast<const CudaEvent&>(other).native_; }

  bool complete() const override {
    const cudaError_t status = cudaEventQuery(native());
    if (status == cudaErrorNotReady) return false;
    TARDIGRAD_CUDA_CHECK(status, device());
    return true;
  }

  void synchronize() const override { TARDIGRAD_CUDA_CHECK(cudaEventSynchronize(native()), device()); }

  double seconds_since(const EventImpl& start) const override {
    float elapsed_ms = 0;
    const auto& from = static_cast<const CudaEvent&>(start);
    TARDIGRAD_CUDA_CHECK(cudaEventElapsedTime(&elapsed_ms, from.native(), native()), device());
    return static_cast<double>(elapsed_ms) * 1e-3;
  }

 private:
  /// Owns an event of CUDA, which several of ours may have the point of.
  struct Native {
    Native(Device device, bool timed) {
      const CurrentDevice current(device);
      const unsigned flags = timed ? cudaEventDefault : cudaEventDisableTiming;
      TARDIGRAD_CUDA_CHECK(cudaEventCreateWithFlags(&event, flags), device);
    }
    Native(const Native&) = delete;
    Native& operator=(const Native&) = delete;
    ~Native() { static_cast<void>(cudaEventDestroy(event)); }

    cudaEvent_t event = nullptr;
  };

  std::shared_ptr<Native> native_;
};

}  // namespace tardigrad::cuda
