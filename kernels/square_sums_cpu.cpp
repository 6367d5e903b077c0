#include "kernels/lane_sum.h"
#include "kernels/require.h"
#include "kernels/square_sums_math.h"

namespace tardigrad {

void check(const SquareSums& squares) {
  require<SquareSums>(squares.vector != nullptr, "vector is null");
  require<SquareSums>(squares.sums != nullptr, "sums is null");
}

void SquareSums::run() const {
  if (dimension == 0) return;
  check(*this);
  for (std::size_t index = 0; index < chunks(dimension); ++index) {
    const std::size_t first = index * chunk;
    const float* const v = vector + first;
    sums[index] = lane_sum<square_lanes>(chunk_size(dimension, first), [v](double sum, std::size_t i) {
      return add_product(sum, v[i], v[i]);
    });
  }
}

double SquareSums::bytes() const { return static_cast<double>(dimension) * sizeof(float); }

double SquareSums::flops() const { return 2 * static_cast<double>(dimension); }

}  // namespace tardigrad
