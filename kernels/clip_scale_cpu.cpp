#include "kernels/clip_scale.h"

#include "kernels/clip_scale_math.h"
#include "kernels/require.h"

namespace tardigrad {

void check(const ClipScale& clip) {
  require<ClipScale>(clip.vector != nullptr, "vector is null");
  require<ClipScale>(clip.scale != nullptr, "scale is null");
  require<ClipScale>(clip.max_norm > 0, "max_norm is not above 0");
}

void ClipScale::run() const {
  if (dimension == 0) return;
  check(*this);
  const double sum_of_squares = lane_sum<clip_lanes>(chunks(dimension), [&](double sum, std::size_t index) {
    const std::size_t first = index * chunk;
    const float* const v = vector + first;
    return sum + lane_sum<clip_lanes>(chunk_size(dimension, first), [v](double squares, std::size_t i) {
             return add_product(squares, v[i], v[i]);
           });
  });
  *scale = scale_for(sum_of_squares, max_norm);
}

double ClipScale::bytes() const { return static_cast<double>(dimension) * sizeof(float); }

double ClipScale::flops() const { return 2 * static_cast<double>(dimension); }

}  // namespace tardigrad
