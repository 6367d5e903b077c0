#pragma once

#include <optional>
#include <span>

#include "runtime/objective/objective.h"

namespace tardigrad {

/// Estimates the smoothness L of f near a model [d] in host memory: the largest curvature, found by power
/// iteration on differences of gradients, ‖∇f(x + u) − ∇f(x)‖ / ‖u‖ for short u, each u along the difference
/// before; ∇f is Objective::sample_gradient, taken 11 times. The estimate is somewhat too small where
/// curvatures are close to each other. Returns nothing where the objective has no such gradient, or it is not
/// finite or 0. Throws BrokenOff.
std::optional<double> estimate_smoothness(Objective& objective, std::span<const float> model,
                                          const BreakOff& break_off = {});

}  // namespace tardigrad
