#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/operation.h"
#include "kernels/part_of.h"

namespace tardigrad {

/// Makes a step of AdamW along a direction, as PyTorch defines it (Loshchilov, Hutter 2019, "Decoupled weight
/// decay regularization", algorithm 2; Kingma, Ba 2015 for the rest):
///
///     g     = s ū
///     m'    = m + (1 − β₁) (g − m)
///     v'    = β₂ v + (1 − β₂) g²
///     x'    = (1 − γ λ) x − γ / (1 − β₁ᵏ) · m' / (√v' / √(1 − β₂ᵏ) + ε)
///     out_i = x'                      if `hand_over` is given
///
/// Every vector is fp32 of shape [dimension], and no two may overlap. Both moments start as zeros. Factors of
/// whole vectors are worked out in float64 and rounded once; multiply-adds, roots and quotients are rounded
/// once each, so a GPU gives the bits of a CPU with fused multiply-add.
///
/// Errors: std::logic_error if a vector but the hand-over is null, or k is 0; launch() also throws
/// std::runtime_error with CUDA's text. dimension = 0 does nothing.
struct AdamWStep {
  static constexpr const char* name = "adamw_step";

  std::size_t dimension = 0;
  const float* direction = nullptr;  ///< ū
  float* first_moment = nullptr;     ///< m
  float* second_moment = nullptr;    ///< v
  float* model = nullptr;            ///< x
  float* hand_over = nullptr;        ///< out_i, a worker's replica, or null
  const float* scale = nullptr;      ///< s [1] in the device's memory (ClipScale), or null for 1

  std::uint64_t step = 0;   ///< k, counted from 1
  double step_size = 0;     ///< γ
  double beta1 = 0.9;       ///< β₁, in [0, 1)
  double beta2 = 0.999;     ///< β₂, in [0, 1)
  double epsilon = 1e-8;    ///< ε
  double weight_decay = 0;  ///< λ

  /// Returns the same of the elements from `begin` on, `size` of them.
  AdamWStep part(std::size_t begin, std::size_t size) const {
    return part_of(*this, begin, size, &AdamWStep::direction, &AdamWStep::first_moment,
                   &AdamWStep::second_moment, &AdamWStep::model, &AdamWStep::hand_over);
  }

  /// Computes on the calling thread.
  void run() const;

  /// Enqueues one kernel. The current device must be the stream's.
  void launch(CudaStream stream) const;

  /// Returns the bytes moved, 4 for each element of each vector read or written: 32·d with a hand-over.
  double bytes() const;
  double flops() const;
};

}  // namespace tardigrad
