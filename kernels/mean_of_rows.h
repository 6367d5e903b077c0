#pragma once

#include <cstddef>

#include "kernels/bf16.h"
#include "kernels/operation.h"

namespace tardigrad {

/// Computes the mean of the gradient table from its rows, for elements `offset` to `offset` + `dimension` of
/// all of them:
///
///     ū         = 1/n Σ_i T_i
///     drift[c]  = {Σ (ū_old − ū)², Σ ū²}    over the elements of chunk c
///
/// ū_old is what `mean` held, so that the root of the quotient of these, added up over the chunks, is the
/// relative distance in L2 by which a mean moved along with its rows (ServerUpdate) went off. Without `drift`
/// it is not read.
///
/// An element of ū is summed in float64 in the order of the rows, divided, and rounded once to fp32: it
/// depends on nothing but its own column, and has the same bits on every CPU and GPU. The sums of the drift
/// are kept in float64, too, and added in one order within a chunk: a CPU's have the same bits in every run,
/// and a GPU's, which may differ from those in the last. Chunks know nothing of each other, so that parts
/// that begin at multiples of `chunk` have the sums of the whole.
///
/// Rows may overlap each other, and nothing else. Any alignment of whole elements works.
///
/// Errors: std::logic_error if n = 0, if `mean` is null, or if not exactly one of the two arrays of rows is
/// given; launch() also throws std::runtime_error with CUDA's text. dimension = 0 does nothing.
struct MeanOfRows {
  static constexpr const char* name = "mean_of_rows";
  static constexpr std::size_t chunk = 1024;

  /// Returns how many pairs of sums a drift has.
  static constexpr std::size_t chunks(std::size_t dimension) { return (dimension + chunk - 1) / chunk; }

  std::size_t dimension = 0;               ///< elements to work on
  std::size_t offset = 0;                  ///< the first of them, in every row and in `mean`
  std::size_t count = 0;                   ///< n
  const float* const* rows = nullptr;      ///< T [n], pointers to rows, themselves in the device's memory
  const Bf16* const* rows_bf16 = nullptr;  ///< the same for rows in bf16
  float* mean = nullptr;                   ///< ū
  double* drift = nullptr;                 ///< [chunks(dimension), 2], or null

  /// Computes on the calling thread.
  void run() const;

  /// Enqueues one kernel, of which a block takes a chunk at a time. The current device must be the stream's.
  void launch(CudaStream stream) const;

  /// Returns the bytes that must be moved: those of the rows and of the mean, which the drift reads, too.
  double bytes() const;
  double flops() const;
};

}  // namespace tardigrad
