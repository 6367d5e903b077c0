#pragma once

#include <span>

#include "runtime/objective/objective.h"

namespace tardigrad {

/// Says how the gradients of minibatches at one model differ, as squared lengths.
struct GradientSpread {
  double norm_sq = 0;      ///< ‖∇f‖²
  double noise = 0;        ///< σ²: the mean over the workers of E‖g_i − ∇f_i‖², of one minibatch
  double differences = 0;  ///< ζ²: the mean over the workers of ‖∇f_i − ∇f‖²
};

/// Estimates them at a model [d] in host memory from the first `jobs` minibatches of each worker, two or
/// more, computed on a CPU. The estimates are without bias but for one: what came out below 0 is 0. Throws
/// BrokenOff.
GradientSpread estimate_gradient_spread(Objective& objective, std::span<const float> model, int jobs,
                                        const BreakOff& break_off = {});

}  // namespace tardigrad
