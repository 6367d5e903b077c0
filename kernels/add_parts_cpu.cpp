#include "kernels/add_parts.h"

#include "kernels/lane_sum.h"
#include "kernels/require.h"

namespace tardigrad {

void check(const AddParts& operation) {
  const AddedParts& added = operation.added;
  for (std::size_t i = 0; i < added.count; ++i) {
    require<AddParts>(added.columns[i].order.is_countable(), "too many columns, expected fewer than 2^32");
  }
  require<AddParts>(operation.partial_sums != nullptr, "partial_sums is null");
  require<AddParts>(operation.gradient != nullptr, "gradient is null");
}

void AddParts::run() const {
  if (size() == 0) return;
  check(*this);
  for (std::size_t i = 0; i < added.count; ++i) {
    const AddedColumns& columns = added.columns[i];
    for (std::size_t column = 0; column < columns.order.size(); ++column) {
      const float* const first = partial_sums + columns.from + column;
      const double sum = lane_sum<warp_lanes>(columns.parts, [&](double so_far, std::size_t part) {
        return so_far + static_cast<double>(first[part * columns.stride]);
      });
      gradient[columns.to + columns.order.number_of(column)] = static_cast<float>(sum);
    }
  }
}

std::size_t AddParts::size() const {
  require<AddParts>(added.count <= AddedParts::max_count, "more than it can take at once");
  std::size_t sums = 0;
  for (std::size_t i = 0; i < added.count; ++i) sums += added.columns[i].order.size();
  return sums;
}

double AddParts::bytes() const {
  std::size_t numbers = size();
  for (std::size_t i = 0; i < added.count; ++i) {
    numbers += added.columns[i].parts * added.columns[i].order.size();
  }
  return static_cast<double>(numbers * sizeof(float));
}

double AddParts::flops() const { return bytes() / sizeof(float) - static_cast<double>(size()); }

}  // namespace tardigrad
