#include <numeric>

#include "kernels/evaluation_sums.h"
#include "kernels/evaluation_sums_math.h"
#include "kernels/require.h"

namespace tardigrad {

void check(const EvaluationSums& sums) {
  require<EvaluationSums>(sums.losses != nullptr, "losses is null");
  require<EvaluationSums>(sums.hits != nullptr, "hits is null");
}

EvaluationSums::Result EvaluationSums::run() const {
  if (count == 0) {
    return {};
  }
  check(*this);
  return {std::accumulate(losses, losses + count, 0.0,
                          [](double sum, float loss) { return sum + static_cast<double>(loss); }),
          std::accumulate(hits, hits + count, std::uint64_t{0})};
}

double EvaluationSums::bytes() const {
  return static_cast<double>(count) * (sizeof(float) + sizeof(std::uint8_t));
}

double EvaluationSums::flops() const { return static_cast<double>(count); }

}  // namespace tardigrad
