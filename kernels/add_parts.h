#pragma once

#include <array>
#include <cstddef>

#include "kernels/image_batch.h"
#include "kernels/operation.h"

namespace tardigrad {

/// Counts the sums that a way back leaves to AddParts: `columns` gradients of parameters over each of `parts`
/// parts of the batch, [parts, columns]. There are no parts where nothing is to be added, and the gradients
/// are 0.
struct PartialSums {
  std::size_t parts = 0;
  std::size_t columns = 0;

  std::size_t size() const { return parts * columns; }
};

/// Says which partial sums are to be added, and where their sums go.
struct AddedColumns {
  std::size_t from = 0;    ///< of the first part's first column, in floats
  std::size_t parts = 0;   ///< that are added
  std::size_t stride = 0;  ///< from one part to the next, in floats
  std::size_t to = 0;      ///< of the first sum, in floats
  /// Has as many elements as there are columns: the sum of the column at a place goes to its number.
  ImageBatch order;
};

/// Lists what one launch adds. The first `count` are used.
struct AddedParts {
  static constexpr std::size_t max_count = 32;

  std::size_t count = 0;
  std::array<AddedColumns, max_count> columns{};
};

/// Adds up the partial sums of several layers, in float64 and in the order of lane_sum.h with the lanes of a
/// warp, so that a CPU and a GPU give the same bits:
///
///     gradient[to + order.number_of(column)] = Σ_part partial_sums[from + part · stride + column]
///
/// Outputs overlap nothing. Any alignment of whole elements works.
///
/// Errors: std::logic_error for a null pointer, more than max_count or an order of 2^32 or more; launch()
/// also throws std::runtime_error with CUDA's text. Without columns nothing is done.
struct AddParts {
  static constexpr const char* name = "add_parts";

  AddedParts added;
  const float* partial_sums = nullptr;
  float* gradient = nullptr;

  /// Computes on the calling thread.
  void run() const;

  /// Enqueues one kernel. The current device must be the stream's.
  void launch(CudaStream stream) const;

  double bytes() const;
  double flops() const;

  /// Returns the number of sums. Throws std::logic_error for more than max_count.
  std::size_t size() const;
};

/// Throws std::logic_error as above.
void check(const AddParts& operation);

}  // namespace tardigrad
