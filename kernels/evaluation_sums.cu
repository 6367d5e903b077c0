#include <thrust/reduce.h>
#include <thrust/system_error.h>

#include <stdexcept>
#include <string>

#include "kernels/evaluation_sums.h"
#include "kernels/evaluation_sums_math.h"
#include "kernels/thrust_policy.cuh"

namespace tardigrad {

EvaluationSums::Result EvaluationSums::launch(CudaStream stream) const {
  if (count == 0) {
    return {};
  }
  check(*this);
  try {
    ThrustScratch scratch(name, stream);
    const auto policy = thrust_policy(scratch);
    // The initial values say in what type the sums are kept.
    return {thrust::reduce(policy, losses, losses + count, 0.0),
            thrust::reduce(policy, hits, hits + count, std::uint64_t{0})};
  } catch (const thrust::system_error& error) {
    throw std::runtime_error(std::string(name) + ": thrust::reduce: " + error.what());
  }
}

}  // namespace tardigrad
