#pragma once

#include "kernels/evaluation_sums.h"

namespace tardigrad {

/// Throws std::logic_error as evaluation_sums.h says.
void check(const EvaluationSums& sums);

}  // namespace tardigrad
