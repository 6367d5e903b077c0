#include "kernels/clip_scale.h"

#include "kernels/clip_scale_math.h"
#include "kernels/lane_sum.h"
#include "kernels/require.h"

namespace tardigrad {

void check(const ClipScale& clip) {
  require<ClipScale>(clip.square_sums != nullptr, "square_sums is null");
  require<ClipScale>(clip.scale != nullptr, "scale is null");
  require<ClipScale>(clip.max_norm > 0, "max_norm is not above 0");
}

void ClipScale::run() const {
  if (count == 0) return;
  check(*this);
  *scale = scale_for(
      lane_sum<clip_lanes>(count, [this](double sum, std::size_t i) { return sum + square_sums[i]; }),
      max_norm);
}

double ClipScale::bytes() const { return static_cast<double>(count) * sizeof(double); }

double ClipScale::flops() const { return static_cast<double>(count); }

}  // namespace tardigrad
