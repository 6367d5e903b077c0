#pragma once

#include <cstdint>
#include <span>

#include "data/dataset.h"
#include "runtime/objective/objective.h"

namespace tardigrad::models {

/// Returns loss and accuracy, of all examples and of each class: `loss_sum` is over the examples, `hits`
/// [examples] is 1 where one is classified rightly, else 0, and `labels` [examples] are all below `classes`.
Evaluation evaluation_of(double loss_sum, std::span<const std::uint8_t> hits,
                         std::span<const data::Label> labels, int classes);

}  // namespace tardigrad::models
