#pragma once

#include "runtime/device/stream.h"

namespace tardigrad::cuda {

/// Makes what another library enqueues on its native stream from now on run after all that is enqueued on
/// `stream` so far. `foreign` may also be CUDA's cudaStreamLegacy or cudaStreamPerThread. Throws DeviceError.
void order_behind(CudaStream foreign, const StreamRef& stream);

}  // namespace tardigrad::cuda
