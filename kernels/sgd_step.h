#pragma once

#include <cstddef>

#include "kernels/operation.h"
#include "kernels/part_of.h"

namespace tardigrad {

/// Makes a step of SGD with momentum and weight decay, as PyTorch defines them (coupled decay, no dampening,
/// no Nesterov):
///
///     p     = s ū + λ x
///     m'    = μ m + p      without `momentum`, p takes the place of m'
///     x'    = x − γ m'
///     out_i = x'           if `hand_over` is given
///
/// Every vector is fp32 of shape [dimension], and no two may overlap. Momentum starts as zeros. Every
/// multiply-add is rounded once, so a GPU gives the bits of a CPU with fused multiply-add; λ = 0 and s = 1
/// leave ū as it is while x is finite.
///
/// Errors: std::logic_error if the direction or the model is null, or momentum is while its weight is not 0;
/// launch() also throws std::runtime_error with CUDA's text. dimension = 0 does nothing.
struct SgdStep {
  static constexpr const char* name = "sgd_step";

  std::size_t dimension = 0;
  const float* direction = nullptr;  ///< ū
  float* momentum = nullptr;         ///< m, or null
  float* model = nullptr;            ///< x
  float* hand_over = nullptr;        ///< out_i, a worker's replica, or null
  const float* scale = nullptr;      ///< s [1] in the device's memory (ClipScale), or null for 1

  float step_size = 0;        ///< γ
  float momentum_weight = 0;  ///< μ
  float weight_decay = 0;     ///< λ

  /// Returns the same of the elements from `begin` on, `size` of them.
  SgdStep part(std::size_t begin, std::size_t size) const {
    return part_of(*this, begin, size, &SgdStep::direction, &SgdStep::momentum, &SgdStep::model,
                   &SgdStep::hand_over);
  }

  /// Computes on the calling thread.
  void run() const;

  /// Enqueues one kernel. The current device must be the stream's.
  void launch(CudaStream stream) const;

  /// Returns the bytes moved, 4 for each element of each vector read or written: 24·d with momentum and
  /// hand-over.
  double bytes() const;
  double flops() const;
};

}  // namespace tardigrad
