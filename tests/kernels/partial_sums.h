#pragma once

#include <vector>

#include "kernels/add_parts.h"
#include "tests/kernels/backend.h"

/// Partial sums of gradients, and what they add up to, for the tests of what leaves them.

namespace tardigrad::testing {

/// Memory for partial sums, with nothing in it yet.
inline Guarded<float> no_sums_yet(Backend backend, const PartialSums& sums, std::size_t offset = 0) {
  return {backend, std::vector<float>(sums.size(), poison), offset};
}

/// The gradients that partial sums add up to, one behind the other: of as many columns as the order of each
/// has.
inline std::vector<float> add_parts(Backend backend, const Guarded<float>& partial_sums,
                                    const PartialSums& sums, const std::vector<ImageBatch>& orders) {
  static_cast<void>(partial_sums.values());  // looks at the guard bands
  AddParts operation;
  std::size_t columns = 0;
  for (const ImageBatch& order : orders) {
    operation.added.columns.at(operation.added.count++) = {columns, sums.parts, sums.columns, columns, order};
    columns += order.size();
  }
  EXPECT_EQ(columns, sums.columns);
  const Guarded<float> gradient(backend, std::vector<float>(columns, poison));
  operation.partial_sums = partial_sums.data();
  operation.gradient = gradient.data();
  execute(backend, operation);
  return gradient.values();
}

/// The same of one gradient, whose columns lie in its own order.
inline std::vector<float> add_parts(Backend backend, const Guarded<float>& partial_sums,
                                    const PartialSums& sums) {
  return add_parts(backend, partial_sums, sums, {{1, sums.columns, 1, MemoryFormat::channel_major}});
}

}  // namespace tardigrad::testing
