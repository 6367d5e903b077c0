#pragma once

#include <cmath>

#include "kernels/adamw_step.h"
#include "kernels/multiply_add.h"
#include "kernels/visit_constant.h"

namespace tardigrad {

/// Holds the factors of a step, the same for all elements.
struct AdamWWeights {
  float toward;           ///< 1 − β₁
  float keep;             ///< β₂
  float add;              ///< 1 − β₂
  float root_correction;  ///< √(1 − β₂ᵏ)
  float epsilon;
  float shrink;  ///< 1 − γ λ
  float step;    ///< γ / (1 − β₁ᵏ)
};

/// Moves one element of both moments and of the model.
TARDIGRAD_HOST_DEVICE inline void adamw_element(const AdamWWeights& weights, float scale, float direction,
                                                float& first, float& second, float& model) {
  const float g = scale * direction;
  first = multiply_add(weights.toward, multiply_add(scale, direction, -first), first);
  second = multiply_add(weights.keep, second, weights.add * (g * g));
  const float denominator = sqrtf(second) / weights.root_correction + weights.epsilon;
  model = multiply_add(-weights.step, first / denominator, weights.shrink * model);
}

/// Returns the factors of that step.
AdamWWeights weights_of(const AdamWStep& step);

/// Calls `visit` with a std::bool_constant: with a hand-over.
template <typename Visit>
void visit_switches(const AdamWStep& step, const Visit& visit) {
  visit_constant<false, true>(step.hand_over != nullptr, visit);
}

/// Throws std::logic_error as adamw_step.h says.
void check(const AdamWStep& step);

}  // namespace tardigrad
