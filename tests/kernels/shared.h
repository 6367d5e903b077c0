#pragma once

#include <memory>

#include "tests/kernels/backend.h"

namespace tardigrad::testing {

/// Memory that host and device share.
template <typename T>
class Shared {
 public:
  Shared([[maybe_unused]] Backend backend, T value) {
#if TARDIGRAD_CUDA
    if (backend == Backend::cuda) {
      void* memory = nullptr;
      check_status(cudaHostAlloc(&memory, sizeof(T), cudaHostAllocPortable));
      memory_ = {static_cast<T*>(memory), [](T* pinned) { static_cast<void>(cudaFreeHost(pinned)); }};
    }
#endif
    if (!memory_) memory_ = {new T, [](T* plain) { delete plain; }};
    *memory_ = value;
  }

  T* get() const { return memory_.get(); }
  T& operator*() const { return *memory_; }
  T* operator->() const { return memory_.get(); }

 private:
  std::shared_ptr<T> memory_;
};

}  // namespace tardigrad::testing
