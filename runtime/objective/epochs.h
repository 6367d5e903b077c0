#pragma once

#include <cmath>
#include <cstdint>

#include "runtime/objective/objective.h"

namespace tardigrad {

/// Returns how many gradients look at as many examples as that many passes over the objective's, rounded up.
inline std::uint64_t gradients_in(double epochs, const Objective& objective) {
  return static_cast<std::uint64_t>(std::ceil(epochs * static_cast<double>(objective.examples()) /
                                              static_cast<double>(objective.examples_per_job())));
}

}  // namespace tardigrad
