#pragma once

#include <cstdint>

#include "runtime/device/stream.h"

namespace tardigrad {

/// Is the stream of a GPU that a callback enqueues on, with CUDA's own handle of it.
struct JobStream {
  StreamRef stream;
  CudaStream native;

  Device device() const { return stream.device(); }

  /// Returns the handle as Python's libraries write it, a number.
  std::intptr_t address() const { return reinterpret_cast<std::intptr_t>(native); }
};

}  // namespace tardigrad
