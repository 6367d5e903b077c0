#pragma once

#include "kernels/operation.h"

namespace tardigrad {

/// Does nothing, in one thread: what launching a kernel and hearing of its end costs by itself.
struct EmptyKernel {
  static constexpr const char* name = "empty_kernel";

  void run() const {}

  /// Enqueues one kernel. The current device must be the stream's.
  void launch(CudaStream stream) const;

  double bytes() const { return 0; }
  double flops() const { return 0; }
};

}  // namespace tardigrad
