#pragma once

#include <array>
#include <cstddef>

#include "kernels/operation.h"

namespace tardigrad {

/// Says which linear layers are computed at once: one of each of several jobs, which have parameters and a
/// minibatch of their own, but one shape. Parameters and gradients of job k lie where they do in its flat
/// vectors.
struct GroupOfLinears {
  static constexpr std::size_t most_jobs = 16;  ///< What they need fits into the arguments of a kernel.
  static constexpr std::size_t most_batch = 8;  ///< A thread adds up so many sums at once.

  std::size_t jobs = 0;
  std::size_t batch = 0;  ///< B, examples of each job
  std::size_t inputs = 0, outputs = 0;
  std::size_t weight = 0;  ///< where in the flat vectors the weights begin, [outputs, inputs]
  std::size_t bias = 0;    ///< likewise, [outputs]
};

/// Computes a linear layer of several jobs, with parameters of their own:
///
///     output[k, n, o] = bias_k[o] + Σ_i input[k, n, i] · weight_k[o, i], and with `relu` max(that, 0)
///
/// It is for small minibatches, where a product's time is that of reading its weights. Sums are taken in
/// fp32 by multiply_add(), in one order whatever the other jobs are: input i belongs to lane i/4 mod 32,
/// which adds in ascending order, and lanes are added as in lane_sum.h. So a GPU gives the bits of a CPU with
/// fused multiply-add. NaN stays NaN. Any alignment of floats works; weights aligned to 16 bytes are fast.
/// Nothing overlaps.
///
/// Errors: std::logic_error for a null pointer, more jobs than most_jobs or examples than most_batch, no
/// inputs, or 2^27 weights or more; launch() also throws std::runtime_error with CUDA's text. Empty input:
/// nothing is done.
struct GroupedLinear : GroupOfLinears {
  static constexpr const char* name = "grouped_linear";

  bool relu = false;
  std::array<const float*, most_jobs> parameters = {};  ///< of each job, a flat vector
  const float* input = nullptr;                         ///< [jobs, B, inputs]
  float* output = nullptr;                              ///< [jobs, B, outputs]

  /// Computes on the calling thread.
  void run() const;

  /// Enqueues one kernel. The current device must be the stream's.
  void launch(CudaStream stream) const;

  double bytes() const;
  double flops() const;
};

/// Computes the gradient of GroupedLinear. With δ the gradient with respect to its output before the ReLU:
///
///     weight_gradient_k[o, i]   = Σ_n δ[k, n, o] · input[k, n, i]
///     bias_gradient_k[o]        = Σ_n δ[k, n, o]
///     input_gradient[k, n, i]   = Σ_o δ[k, n, o] · weight_k[o, i], if it is not null,
///                                 and with `relu_before` 0 where input[k, n, i] ≤ 0
///
/// so that with `relu_before` the input's gradient is the δ of the layer before. Sums are taken in fp32 by
/// multiply_add(): over n in ascending order; over o by eight lanes, of which output o belongs to o mod 8,
/// added as in lane_sum.h. NaN in the input lets the gradient pass, as PyTorch does. Nothing overlaps.
///
/// Errors: as GroupedLinear.
struct GroupedLinearBackward : GroupOfLinears {
  static constexpr const char* name = "grouped_linear_backward";
  static constexpr std::size_t output_lanes = 8;

  bool relu_before = false;
  std::array<const float*, most_jobs> parameters = {};  ///< of each job, a flat vector
  std::array<float*, most_jobs> gradients = {};         ///< likewise
  const float* input = nullptr;                         ///< [jobs, B, inputs]
  const float* output_gradient = nullptr;               ///< δ, [jobs, B, outputs]
  float* input_gradient = nullptr;                      ///< [jobs, B, inputs], or null

  /// Computes on the calling thread.
  void run() const;

  /// Enqueues one kernel. The current device must be the stream's.
  void launch(CudaStream stream) const;

  double bytes() const;
  double flops() const;
};

}  // namespace tardigrad
