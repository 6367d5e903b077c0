#pragma once

#include "kernels/require.h"
#include "kernels/server_update_math.h"

namespace tardigrad {

/// Makes the passes in their order, which the CPU and CUDA share. `Passes` offers, each over whole vectors,
///   copy(to, from): to = from;                subtract(to, a, b): to = a − b;
///   scale(to, a, from): to = a·from;          axpy(to, a, from): to = to + a·from.
template <typename Passes>
void naive_update(const ServerUpdate& u, float* scratch, const Passes& passes) {
  require<ServerUpdate>(!has_bf16_row(u), "a row in bf16 has no naive update");
  require<ServerUpdate>(u.mean_update != Mean::average && u.correction == Correction::none,
                        "rows that enter or leave the mean, and corrections, have no naive update");
  const float* change = u.gradient;
  float mean_weight = u.mean_weight;
  const Fold fold = fold_of(u);
  if (fold != Fold::none) {
    passes.subtract(scratch, u.gradient, u.row);
    change = scratch;
  }
  if (fold == Fold::average) {
    mean_weight *= u.fold_weight;
    passes.axpy(u.row, u.fold_weight, scratch);
  } else if (fold == Fold::replace) {
    passes.copy(u.row, u.gradient);
  }
  if (u.mean_update == Mean::start) {
    passes.scale(u.mean, mean_weight, change);
  } else if (u.mean_update == Mean::accumulate) {
    passes.axpy(u.mean, mean_weight, change);
  }
  if (u.step) passes.axpy(u.model, -u.step_size, direction_of(u) == Direction::mean ? u.mean : u.gradient);
  if (u.hand_over != nullptr) passes.copy(u.hand_over, u.model);
}

}  // namespace tardigrad
