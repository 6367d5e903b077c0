#include "kernels/add_parts.h"

#include "kernels/column_sums.cuh"
#include "kernels/launch.cuh"

namespace tardigrad {
namespace {

/// What is to be added, cut into groups of columns that a block takes at a time.
struct ColumnGroups {
  AddedParts all;
  std::size_t first[AddedParts::max_count + 1];  ///< group of each, and how many there are

  explicit ColumnGroups(const AddedParts& added) : all(added), first{} {
    for (std::size_t i = 0; i < all.count; ++i) {
      first[i + 1] = first[i] + (all.columns[i].order.size() + columns_at_once - 1) / columns_at_once;
    }
  }

  __host__ __device__ std::size_t size() const { return first[all.count]; }
};

__global__ void __launch_bounds__(threads_per_block)
    add_parts_kernel(ColumnGroups groups, const float* __restrict__ partial_sums,
                     float* __restrict__ gradient) {
  for (std::size_t group = blockIdx.x; group < groups.size(); group += gridDim.x) {
    std::size_t i = 0;
    while (group >= groups.first[i + 1]) ++i;
    const AddedColumns& columns = groups.all.columns[i];
    sum_some_columns(
        columns.parts, columns.order.size(), (group - groups.first[i]) * columns_at_once,
        [&](std::size_t part, std::size_t column) {
          return static_cast<double>(partial_sums[columns.from + part * columns.stride + column]);
        },
        [&](std::size_t column, double sum) {
          gradient[columns.to + columns.order.number_of(column)] = static_cast<float>(sum);
        });
  }
}

}  // namespace

void AddParts::launch(CudaStream stream) const {
  if (size() == 0) return;
  check(*this);
  const ColumnGroups groups(added);
  launch_kernel(name, add_parts_kernel, {groups.size()}, stream, groups, partial_sums, gradient);
}

}  // namespace tardigrad
