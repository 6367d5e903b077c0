#pragma once

#include <algorithm>
#include <cstddef>

#include "models/layers/pool.h"

namespace tardigrad::models {

/// Is what of a window lies on the image: rows [y_begin, y_end), columns [x_begin, x_end). It is never empty.
struct VisibleWindow {
  int y_begin, y_end, x_begin, x_end;
};

/// Calls visit(window, output pixel) for all output pixels of a plane, in row order.
template <typename Visit>
void for_each_window(const PoolWindows& pool, const Visit& visit) {
  std::size_t pixel = 0;
  for (int out_y = 0; out_y < pool.out_height(); ++out_y) {
    const int y = out_y * pool.stride - pool.padding;
    for (int out_x = 0; out_x < pool.out_width(); ++out_x) {
      const int x = out_x * pool.stride - pool.padding;
      visit(VisibleWindow{std::max(y, 0), std::min(y + pool.kernel, pool.height), std::max(x, 0),
                          std::min(x + pool.kernel, pool.width)},
            pixel++);
    }
  }
}

}  // namespace tardigrad::models
