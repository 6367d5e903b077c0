#include "kernels/loss_sum.h"

#include <thrust/reduce.h>
#include <thrust/system_error.h>

#include <stdexcept>
#include <string>

#include "kernels/loss_sum_math.h"
#include "kernels/thrust_policy.cuh"

namespace tardigrad {

double LossSum::launch(CudaStream stream) const {
  if (count == 0) return 0;
  check(*this);
  try {
    ThrustScratch scratch(name, stream);
    // The initial value says in what type the sum is kept.
    return thrust::reduce(thrust_policy(scratch), losses, losses + count, 0.0);
  } catch (const thrust::system_error& error) {
    throw std::runtime_error(std::string(name) + ": thrust::reduce: " + error.what());
  }
}

}  // namespace tardigrad
