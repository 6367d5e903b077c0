#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/bf16.h"
#include "kernels/bias_relu_max_pool.h"
#include "kernels/image_strides.h"
#include "kernels/operation.h"
#include "kernels/pool_shape.h"

/// Is what BiasReluMaxPool and its gradient have in common on both sides.

namespace tardigrad {

inline ImageStrides input_strides(const PoolShape& shape) {
  return strides_of(shape.input_format, shape.channels, shape.height, shape.width);
}

inline ImageStrides output_strides(const PoolShape& shape) {
  return strides_of(shape.output_format, shape.channels, shape.output_height(), shape.output_width());
}

/// Places output pixel (y, x) of image n, and its window.
struct WindowPlace {
  std::size_t n, y, x;

  TARDIGRAD_HOST_DEVICE std::size_t output(const ImageStrides& strides) const {
    return n * strides.image + y * strides.row + x * strides.pixel;
  }
  /// Returns the offset of the window's first element.
  TARDIGRAD_HOST_DEVICE std::size_t input(const ImageStrides& strides) const {
    return n * strides.image + 2 * y * strides.row + 2 * x * strides.pixel;
  }
};

/// Calls visit(place, channel, output) for every element of a pool's output, which lies at `output`, in the
/// order of images, rows, columns and channels.
template <typename Visit>
void for_each_pooled(const PoolShape& shape, const Visit& visit) {
  const ImageStrides strides = output_strides(shape);
  for (std::size_t n = 0; n < shape.batch; ++n) {
    for (std::size_t y = 0; y < shape.output_height(); ++y) {
      for (std::size_t x = 0; x < shape.output_width(); ++x) {
        const WindowPlace place{n, y, x};
        for (std::size_t c = 0; c < shape.channels; ++c) {
          visit(place, c, place.output(strides) + c * strides.channel);
        }
      }
    }
  }
}

/// Returns how many rows (or columns) of the input belong to the output row `y`: two, and with the last one
/// also an odd one that no window has.
TARDIGRAD_HOST_DEVICE inline unsigned extent(std::size_t y, std::size_t input_height) {
  return y + 1 == input_height / 2 ? static_cast<unsigned>(input_height - 2 * y) : 2;
}

struct Pooled {
  float value;
  std::uint8_t winner;
};

/// Pools four numbers, in row order, as bias_relu_max_pool.h says.
TARDIGRAD_HOST_DEVICE inline Pooled pool_window(float first, float second, float third, float fourth,
                                                float bias) {
  Pooled best{first + bias, 0};
  const auto meet = [&best](float value, std::uint8_t place) {
    const bool is_nan = value != value;
    if (value > best.value || is_nan) best = {value, place};
  };
  meet(second + bias, 1);
  meet(third + bias, 2);
  meet(fourth + bias, 3);
  return best.value <= 0 ? Pooled{0, no_winner} : best;
}

/// Returns the gradient of the input's element at (row, column) from a window's first. Those that the window
/// does not have, as `extent` adds them, get 0.
template <typename Number>
TARDIGRAD_HOST_DEVICE Number input_gradient_at(Number output_gradient, std::uint8_t winner, unsigned row,
                                               unsigned column) {
  const bool wins = row < 2 && column < 2 && winner == 2 * row + column;
  return wins ? output_gradient : Number{};
}

/// Throws std::logic_error as bias_relu_max_pool.h says.
template <typename Number>
void check(const BiasReluMaxPool<Number>& pool);

/// Tells whether a GPU can number the windows of a channel by 32 bits.
inline bool countable(const PoolShape& shape) { return shape.windows() >> 32 == 0; }

}  // namespace tardigrad
