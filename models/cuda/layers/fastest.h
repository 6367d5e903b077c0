#pragma once

#include <cstddef>
#include <functional>
#include <optional>

#include "models/cuda/layers/handles.h"

namespace tardigrad::models::cuda {

/// Returns which of `count` candidates is the fastest: the first of those that take 3 % more than the fastest
/// or less, which is what measurements differ by anyway. `run(i)` enqueues candidate i on the stream and says
/// whether that worked; those that do not work are left out, and nothing is returned where none does.
///
/// Each runs once before any is timed, so that none pays for the loading of its kernels. Then they take
/// turns, and the best series of each counts, so that none pays for what else the device had to do for a
/// while.
std::optional<std::size_t> fastest_of(Device device, CudaStream stream, std::size_t count,
                                      const std::function<bool(std::size_t)>& run);

}  // namespace tardigrad::models::cuda
