#include "kernels/mean_of_rows.h"

#include <type_traits>

#include "kernels/lane_sum.cuh"
#include "kernels/launch.cuh"
#include "kernels/mean_of_rows_math.h"
#include "kernels/pack.cuh"

namespace tardigrad {
namespace {

static_assert(MeanOfRows::chunk == std::size_t{4} * threads_per_block, "a block takes a chunk at once");

/// Rows whose loads are in flight at once: with four columns of floats a thread, 128 bytes.
constexpr int rows_at_once = 8;

/// Adds `width` columns from `first` on of `some` rows, in their order. Whether rows are aligned is not for
/// the host to know: their addresses are in the device's memory.
template <int some, int width, typename Row>
__device__ void add_rows(const Row* const* __restrict__ rows, std::size_t first, double (&sums)[width]) {
  const Row* from[some];
  bool aligned = true;
#pragma unroll
  for (int r = 0; r < some; ++r) {
    from[r] = rows[r] + first;
    aligned = aligned && is_aligned<width>(from[r]);
  }
  Pack<Row, width> columns[some];
#pragma unroll
  for (int r = 0; r < some; ++r) {
    if (aligned) {
      columns[r] = load_streaming<width>(from[r]);
    } else {
#pragma unroll
      for (int lane = 0; lane < width; ++lane) columns[r].lane[lane] = from[r][lane];
    }
  }
#pragma unroll
  for (int r = 0; r < some; ++r) {
#pragma unroll
    for (int lane = 0; lane < width; ++lane) sums[lane] = add_row(sums[lane], columns[r].lane[lane]);
  }
}

/// The mean of `width` columns from `first` on.
template <int width, typename Row>
__device__ Pack<float, width> mean_of_columns(std::size_t first, std::size_t count,
                                              const Row* const* __restrict__ rows) {
  double sums[width] = {};
  std::size_t row = 0;
  for (; row + rows_at_once <= count; row += rows_at_once) add_rows<rows_at_once>(rows + row, first, sums);
  const auto add_rest = [&]<int some>(std::integral_constant<int, some>) {
    if (row + some <= count) {
      add_rows<some>(rows + row, first, sums);
      row += some;
    }
  };
  add_rest(std::integral_constant<int, rows_at_once / 2>{});
  add_rest(std::integral_constant<int, rows_at_once / 4>{});
  add_rest(std::integral_constant<int, rows_at_once / 8>{});
  Pack<float, width> mean;
#pragma unroll
  for (int lane = 0; lane < width; ++lane) mean.lane[lane] = mean_of(sums[lane], count);
  return mean;
}

struct Drift {
  double off_squares = 0;
  double exact_squares = 0;
};

/// Replaces `width` elements of the mean, and adds how far they were off.
template <int width, bool with_drift, typename Row>
__device__ void replace_mean(std::size_t first, std::size_t count, const Row* const* __restrict__ rows,
                             float* __restrict__ mean, Drift& drift) {
  const auto exact = mean_of_columns<width>(first, count, rows);
#pragma unroll
  for (int lane = 0; lane < width; ++lane) {
    float& element = mean[first + static_cast<std::size_t>(lane)];
    if constexpr (with_drift) {
      const double off = distance(element, exact.lane[lane]);
      drift.off_squares += off * off;
      drift.exact_squares = add_product(drift.exact_squares, exact.lane[lane], exact.lane[lane]);
    }
    element = exact.lane[lane];
  }
}

/// A block takes a chunk at a time, each thread four of its columns, and the first threads one of the rest.
template <typename Row, bool with_drift>
__global__ void __launch_bounds__(threads_per_block)
    mean_of_rows_kernel(std::size_t dimension, std::size_t offset, std::size_t count,
                        const Row* const* __restrict__ rows, float* __restrict__ mean,
                        double* __restrict__ drift) {
  const std::size_t chunks = MeanOfRows::chunks(dimension);
  for (std::size_t index = blockIdx.x; index < chunks; index += gridDim.x) {
    const std::size_t first = index * MeanOfRows::chunk;
    const std::size_t size = dimension - first < MeanOfRows::chunk ? dimension - first : MeanOfRows::chunk;
    const std::size_t packs = size / 4;
    Drift own;
    if (threadIdx.x < packs) {
      replace_mean<4, with_drift>(offset + first + std::size_t{4} * threadIdx.x, count, rows, mean, own);
    }
    if (const std::size_t i = 4 * packs + threadIdx.x; i < size) {
      replace_mean<1, with_drift>(offset + first + i, count, rows, mean, own);
    }
    if constexpr (with_drift) {
      own.off_squares = block_sum(own.off_squares);
      own.exact_squares = block_sum(own.exact_squares);
      if (threadIdx.x == 0) {
        drift[2 * index] = own.off_squares;
        drift[2 * index + 1] = own.exact_squares;
      }
    }
  }
}

}  // namespace

void MeanOfRows::launch(CudaStream stream) const {
  if (dimension == 0) return;
  check(*this);
  visit_rows(*this, [&]<typename Row>(const Row* const* pointers) {
    const auto kernel = drift != nullptr ? mean_of_rows_kernel<Row, true> : mean_of_rows_kernel<Row, false>;
    launch_kernel(name, kernel, {chunks(dimension)}, stream, dimension, offset, count, pointers, mean, drift);
  });
}

}  // namespace tardigrad
