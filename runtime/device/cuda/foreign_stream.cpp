#include "runtime/device/cuda/foreign_stream.h"

#include "runtime/device/cuda/cuda_event.h"
#include "runtime/device/cuda/native_call.h"

namespace tardigrad::cuda {
namespace {

struct Order {
  static constexpr const char* name = "order";
};

}  // namespace

void order_behind(CudaStream foreign, const StreamRef& stream) {
  const Device device = stream.device();
  call_native<Order>(stream, [&](CudaStream native) {
    const CudaEvent event(device, false);  // what waits for it does so when it is gone, too
    TARDIGRAD_CUDA_CHECK(cudaEventRecord(event.native(), native), device);
    TARDIGRAD_CUDA_CHECK(cudaStreamWaitEvent(foreign, event.native(), 0), device);
  });
}

}  // namespace tardigrad::cuda
