#pragma once

#include <cstdint>
#include <span>

#include "runtime/objective/objective.h"

namespace tardigrad::models {

/// Loss and accuracy, of all examples and of each class: `loss_sum` over the examples, `hits` [examples] 1
/// where one is classified rightly, else 0, and `labels` [examples], all below `classes`.
Evaluation evaluation_of(double loss_sum, std::span<const std::uint8_t> hits,
                         std::span<const std::uint8_t> labels, int classes);

}  // namespace tardigrad::models
