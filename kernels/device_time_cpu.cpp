#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include "kernels/device_time_math.h"
#include "kernels/require.h"

namespace tardigrad {
namespace {

std::uint64_t now_ns() {
  return static_cast<std::uint64_t>(
      std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count());
}

template <typename Number>
Number shared(Number* value) {
  return std::atomic_ref<Number>(*value).load(std::memory_order_acquire);
}

}  // namespace

void check(const StampTime& stamp) {
  require<StampTime>(stamp.time_ns != nullptr, "time_ns is null, expected memory for the time");
  require<StampTime>(stamp.pauses == nullptr || stamp.paused_ns != nullptr,
                     "paused_ns is null, expected memory for the time of the pauses");
}

void check(const Stretch& stretch) {
  require<Stretch>(stretch.began_ns != nullptr, "began_ns is null, expected the beginning of the job");
  require<Stretch>(stretch.pauses == nullptr || stretch.paused_before_ns != nullptr,
                   "paused_before_ns is null, expected the pauses before the job");
}

void StampTime::run() const {
  check(*this);
  *time_ns = now_ns();
  if (pauses != nullptr) *paused_ns = shared(&pauses->paused_ns);
}

void Stretch::run() const {
  check(*this);
  const auto paused_ns = [this] { return pauses != nullptr ? shared(&pauses->paused_ns) : 0; };
  const double took_ns = static_cast<double>(now_ns() - *began_ns);
  while (cut_short == nullptr || shared(cut_short) == 0) {
    const bool paused = pauses != nullptr && shared(&pauses->paused) != 0;
    const double left_ns = time_left_ns(*this, now_ns(), paused_ns(), took_ns);
    if (!paused && left_ns <= 0) return;
    std::this_thread::sleep_for(
        std::chrono::duration<double, std::nano>(std::clamp(left_ns, 0.0, longest_nap_ns)));
  }
}

}  // namespace tardigrad
