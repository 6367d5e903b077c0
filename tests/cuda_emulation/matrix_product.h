#pragma once

#include <cstddef>

namespace tardigrad::emulation {

/// A matrix in fp32 with any strides, in elements: transposition is exchanging them.
struct MatrixView {
  const float* data;
  std::size_t row_stride;
  std::size_t column_stride;
};

/// The parts into which the sum over the inner dimension of a product is cut. Each is summed from zero and
/// then added to the result, beginning with part `first`: so `count` and `first` change the bits of the
/// result.
struct Parts {
  std::size_t count = 1;
  std::size_t first = 0;
};

/// c += a·b, with a of rows × depth, b of depth × columns and c of rows × columns, the rows of which are
/// contiguous and `c_stride` elements apart.
void add_product(std::size_t rows, std::size_t columns, std::size_t depth, MatrixView a, MatrixView b,
                 float* c, std::size_t c_stride, Parts parts = {});

}  // namespace tardigrad::emulation
