#include <cuda/atomic>
#include <cuda/std/chrono>

#include "kernels/device_time_math.h"
#include "kernels/launch.cuh"

namespace tardigrad {
namespace {

/// The global timer.
__device__ std::uint64_t now_ns() {
  const auto since_epoch = cuda::std::chrono::system_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(cuda::std::chrono::nanoseconds(since_epoch).count());
}

/// What the host may change meanwhile.
template <typename Number>
__device__ Number shared(Number* value) {
  return cuda::atomic_ref<Number, cuda::thread_scope_system>(*value).load(cuda::std::memory_order_acquire);
}

__global__ void stamp_time_kernel(StampTime stamp) {
  *stamp.time_ns = now_ns();
  if (stamp.pauses != nullptr) *stamp.paused_ns = shared(&stamp.pauses->paused_ns);
}

__global__ void throttle_kernel(Stretch stretch) {
  const double took_ns = static_cast<double>(now_ns() - *stretch.began_ns);
  while (stretch.cut_short == nullptr || shared(stretch.cut_short) == 0) {
    const bool paused = stretch.pauses != nullptr && shared(&stretch.pauses->paused) != 0;
    const std::uint64_t paused_ns = stretch.pauses != nullptr ? shared(&stretch.pauses->paused_ns) : 0;
    const double left_ns = time_left_ns(stretch, now_ns(), paused_ns, took_ns);
    if (!paused && left_ns <= 0) return;
    const double nap_ns = left_ns < longest_nap_ns ? left_ns : longest_nap_ns;
    __nanosleep(static_cast<unsigned>(nap_ns > 0 ? nap_ns : 0));
  }
}

}  // namespace

void StampTime::launch(CudaStream stream) const {
  check(*this);
  launch_kernel(name, stamp_time_kernel, {1, 1}, stream, *this);
}

void Stretch::launch(CudaStream stream) const {
  check(*this);
  launch_kernel(name, throttle_kernel, {1, 1}, stream, *this);
}

}  // namespace tardigrad
