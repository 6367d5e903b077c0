#pragma once

#include "kernels/reorder_images.h"
#include "kernels/require.h"

namespace tardigrad {

/// Describes each image of a batch as a matrix that is to be transposed.
struct ImageMatrices {
  std::size_t count, rows, columns;

  explicit ImageMatrices(const ImageBatch& shape)
      : count(shape.batch),
        rows(shape.format == MemoryFormat::channel_major ? shape.channels : shape.pixels),
        columns(shape.format == MemoryFormat::channel_major ? shape.pixels : shape.channels) {}
};

template <typename Number>
void check(const ReorderImages<Number>& reorder) {
  require<ReorderImages<Number>>(reorder.input && reorder.output, "a pointer is null");
  require<ReorderImages<Number>>(reorder.shape.is_countable(), "too many elements, expected fewer than 2^32");
}

}  // namespace tardigrad
