#pragma once

#include <cmath>
#include <cstdint>
#include <numeric>

#include "runtime/objective/objective.h"

namespace tardigrad {

/// Returns how many examples that many passes over the objective's are, rounded up to what whole jobs can
/// look at: to a multiple of the largest number that divides the examples of every worker's jobs.
inline std::uint64_t examples_in(double epochs, const Objective& objective) {
  std::uint64_t step = 0;
  for (int worker = 0; worker < objective.workers(); ++worker) {
    step = std::gcd(step, objective.examples_per_job(worker));
  }
  const double examples = epochs * static_cast<double>(objective.examples());
  return step * static_cast<std::uint64_t>(std::ceil(examples / static_cast<double>(step)));
}

}  // namespace tardigrad
