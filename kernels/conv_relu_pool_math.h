#pragma once

#include <algorithm>
#include <cstddef>

#include "kernels/bias_relu_max_pool_math.h"
#include "kernels/conv_relu_pool.h"
#include "kernels/image_strides.h"
#include "kernels/multiply_add.h"
#include "kernels/operation.h"

/// Is what ConvReluPool and its gradient have in common on both sides.

namespace tardigrad {

/// Counts, at most, the channels of the images.
inline constexpr unsigned most_input_channels = 4;

/// Is the shared memory, at most, of a block for the pixels of all channels of a band, in floats.
inline constexpr unsigned band_floats = 6144;

/// Says how the windows of an image are shared out to the blocks of a GPU: in bands of rows, whose pixels,
/// with the padding, a block keeps in shared memory.
struct WindowBands {
  unsigned rows = 0;        ///< of windows in a band, the last one excepted
  unsigned count = 0;       ///< of bands in an image
  unsigned row_floats = 0;  ///< of a row of pixels

  /// Returns the floats of one channel of a band.
  TARDIGRAD_HOST_DEVICE unsigned plane_floats(unsigned kernel) const {
    return (2 * rows + kernel - 1) * row_floats;
  }
};

/// Returns the floats of a row of pixels in shared memory. They are even, so that the first pixels of windows
/// are aligned to 8 bytes, and no multiple of 32, so that the pixels of a window lie in different banks.
inline std::size_t row_floats_of(const ConvPoolShape& shape) {
  const std::size_t even = (shape.width + 2 * std::size_t{shape.padding} + 1) / 2 * 2;
  return even % 32 == 0 ? even + 2 : even;
}

/// Returns bands of about as many windows, as far as their pixels have room; of one row of windows at least.
inline WindowBands bands_of(const ConvPoolShape& shape, std::size_t windows) {
  const PoolShape pool = shape.pool();
  const std::size_t high = pool.output_height();
  const std::size_t wide = pool.output_width();
  if (high == 0 || wide == 0 || shape.input_channels == 0) return {};
  const std::size_t row_floats = row_floats_of(shape);
  const std::size_t pixel_rows = band_floats / (shape.input_channels * row_floats);
  const std::size_t fitting = pixel_rows < shape.kernel ? 0 : (pixel_rows - shape.kernel + 1) / 2;
  const std::size_t most = std::clamp<std::size_t>(std::min(windows / wide, fitting), 1, high);
  const std::size_t count = (high + most - 1) / most;
  return {static_cast<unsigned>((high + count - 1) / count), static_cast<unsigned>(count),
          static_cast<unsigned>(row_floats)};
}

/// Returns the bands of the way forward: about a window for each of 128 threads.
inline WindowBands forward_bands(const ConvPoolShape& shape) { return bands_of(shape, 128); }

/// Returns the bands of the way back, which small batches, too, have enough of for a GPU.
inline WindowBands backward_bands(const ConvPoolShape& shape) { return bands_of(shape, 64); }

/// Returns the number of parts of the batch over which gradients are added up: part p has the bands p,
/// p + parts, p + 2 · parts, …
inline std::size_t parts_of(const ConvPoolShape& shape) {
  constexpr std::size_t most_parts = 512;  // about as many blocks as the largest GPUs hold at once
  return std::min(most_parts, shape.batch * backward_bands(shape).count);
}

inline ImageStrides input_strides(const ConvPoolShape& shape) {
  return strides_of(shape.input_format, shape.input_channels, shape.height, shape.width);
}

/// Reads planes of images with the padding around them; a plane is one channel of one image.
struct PaddedPlanes {
  unsigned height, width;  ///< without the padding
  unsigned padding;
  std::size_t row, pixel;  ///< strides

  explicit PaddedPlanes(const ConvPoolShape& shape)
      : height(static_cast<unsigned>(shape.height)),
        width(static_cast<unsigned>(shape.width)),
        padding(shape.padding),
        row(input_strides(shape).row),
        pixel(input_strides(shape).pixel) {}

  /// Returns the pixel at (y, x), which count from the padding's corner; 0 beyond the plane itself.
  template <typename Number>
  TARDIGRAD_HOST_DEVICE float at(const Number* plane, unsigned y, unsigned x) const {
    const unsigned y_inside = y - padding;  // wraps round to more than any height
    const unsigned x_inside = x - padding;
    return y_inside < height && x_inside < width ? widen(plane[y_inside * row + x_inside * pixel]) : 0;
  }
};

/// Throws std::logic_error as conv_relu_pool.h says.
template <typename Number>
void check(const ConvReluPool<Number>& operation);
template <typename Number>
void check(const ConvReluPoolBackward<Number>& operation);

}  // namespace tardigrad
