#pragma once

#include "kernels/loss_sum.h"

namespace tardigrad {

/// Throws std::logic_error as loss_sum.h says.
void check(const LossSum& sum);

}  // namespace tardigrad
