#pragma once

#include <cmath>
#include <limits>

#include "kernels/clip_scale.h"

namespace tardigrad {

/// Counts the lanes of the sum over chunks (lane_sum.h): a block's threads on a GPU.
inline constexpr std::size_t clip_lanes = 256;

TARDIGRAD_HOST_DEVICE inline float scale_for(double sum_of_squares, float max_norm) {
  if (!(sum_of_squares < std::numeric_limits<double>::infinity())) {
    return std::numeric_limits<float>::quiet_NaN();
  }
  const double norm = sqrt(sum_of_squares);
  const auto limit = static_cast<double>(max_norm);
  return norm > limit ? static_cast<float>(limit / norm) : 1.0F;
}

/// Throws std::logic_error as clip_scale.h says.
void check(const ClipScale& clip);

}  // namespace tardigrad
