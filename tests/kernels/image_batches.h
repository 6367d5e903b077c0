#pragma once

#include "kernels/image_batch.h"
#include "tests/kernels/backend.h"

namespace tardigrad::testing {

/// Calls `check` with batches in both memory formats: of one element, of sizes that no block or warp divides,
/// of more channels than a block has threads, of features, of none.
template <typename Check>
void for_each_image_batch(const Check& check) {
  for (const ImageBatch& sizes : {ImageBatch{1, 1, 1},
                                  {2, 3, 35},
                                  {3, 12, 49},
                                  {2, 64, 8},
                                  {1, 300, 3},
                                  {9, 24, 1},
                                  {1, 4, 600},
                                  {0, 4, 9},
                                  {3, 4, 0}}) {
    for (const MemoryFormat format : {MemoryFormat::channel_major, MemoryFormat::channels_last}) {
      ImageBatch shape = sizes;
      shape.format = format;
      SCOPED_TRACE(::testing::Message()
                   << shape.batch << " × " << shape.channels << " × " << shape.pixels
                   << (format == MemoryFormat::channel_major ? ", channel-major" : ", channels last"));
      check(shape);
      ASSERT_FALSE(::testing::Test::HasFailure());
    }
  }
}

/// Where the element (n, c, p) lies.
inline std::size_t place_in(const ImageBatch& shape, std::size_t n, std::size_t c, std::size_t p) {
  return shape.format == MemoryFormat::channel_major ? (n * shape.channels + c) * shape.pixels + p
                                                     : (n * shape.pixels + p) * shape.channels + c;
}

/// Calls visit(n, c, p, place) for every element in the order of [batch, channels, pixels].
template <typename Visit>
void for_each_element(const ImageBatch& shape, const Visit& visit) {
  for (std::size_t n = 0; n < shape.batch; ++n) {
    for (std::size_t c = 0; c < shape.channels; ++c) {
      for (std::size_t p = 0; p < shape.pixels; ++p) visit(n, c, p, place_in(shape, n, c, p));
    }
  }
}

}  // namespace tardigrad::testing
