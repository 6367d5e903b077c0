#pragma once

#include <cstdint>

#include "kernels/device_time.h"

namespace tardigrad {

/// Returns what is left of a job's time at `now_ns`, in nanoseconds. `took_ns` is what it took by itself.
TARDIGRAD_HOST_DEVICE inline double time_left_ns(const Stretch& stretch, std::uint64_t now_ns,
                                                 std::uint64_t paused_ns, double took_ns) {
  const std::uint64_t pauses_ns = stretch.pauses != nullptr ? paused_ns - *stretch.paused_before_ns : 0;
  const double elapsed_ns = static_cast<double>(now_ns - *stretch.began_ns) - static_cast<double>(pauses_ns);
  const double stretched_ns = stretch.slowdown * took_ns;
  const double work_ns = stretched_ns > stretch.duration_ns ? stretched_ns : stretch.duration_ns;
  return work_ns - elapsed_ns;
}

/// Limits the sleep between two looks at what the host may have changed.
inline constexpr double longest_nap_ns = 20'000;

/// Checks the arguments, as the next one does. Throws std::logic_error as device_time.h says.
void check(const StampTime& stamp);
void check(const Stretch& stretch);

}  // namespace tardigrad
