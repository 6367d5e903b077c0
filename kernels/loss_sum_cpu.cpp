#include "kernels/loss_sum.h"

#include <numeric>

#include "kernels/loss_sum_math.h"
#include "kernels/require.h"

namespace tardigrad {

void check(const LossSum& sum) { require<LossSum>(sum.losses != nullptr, "losses is null"); }

double LossSum::run() const {
  if (count == 0) return 0;
  check(*this);
  return std::accumulate(losses, losses + count, 0.0,
                         [](double sum, float loss) { return sum + static_cast<double>(loss); });
}

double LossSum::bytes() const { return static_cast<double>(count) * sizeof(float); }

double LossSum::flops() const { return static_cast<double>(count); }

}  // namespace tardigrad
