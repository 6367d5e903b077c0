#pragma once

#include <cstdint>

#include "kernels/image_strides.h"
#include "kernels/require.h"
#include "kernels/window_pool.h"

namespace tardigrad {

/// Is a range of rows or columns, the end not among them.
struct Span {
  std::uint32_t begin, end;
};

/// Holds what the elements of a pool have in common.
struct WindowPlan {
  WindowShape shape;
  std::uint32_t output_height, output_width;
  ImageStrides in, out;

  explicit WindowPlan(const WindowShape& of)
      : shape(of),
        output_height(static_cast<std::uint32_t>(of.output_height())),
        output_width(static_cast<std::uint32_t>(of.output_width())),
        in(strides_of(of.format, of.channels, of.height, of.width)),
        out(strides_of(of.format, of.channels, output_height, output_width)) {}

  TARDIGRAD_HOST_DEVICE Span rows_of(std::uint32_t y) const {
    return visible(y, shape.window_height, static_cast<std::uint32_t>(shape.height));
  }
  TARDIGRAD_HOST_DEVICE Span columns_of(std::uint32_t x) const {
    return visible(x, shape.window_width, static_cast<std::uint32_t>(shape.width));
  }
  /// Returns the rows of the output whose windows have a row of the input.
  TARDIGRAD_HOST_DEVICE Span windows_over_row(std::uint32_t y) const {
    return windows_over(y, shape.window_height, output_height);
  }
  TARDIGRAD_HOST_DEVICE Span windows_over_column(std::uint32_t x) const {
    return windows_over(x, shape.window_width, output_width);
  }
  TARDIGRAD_HOST_DEVICE float share() const {
    return 1 / static_cast<float>(shape.window_height * shape.window_width);
  }

 private:
  /// Returns what of a window lies on the image.
  TARDIGRAD_HOST_DEVICE Span visible(std::uint32_t output, std::uint32_t window, std::uint32_t size) const {
    const std::uint32_t first = output * shape.stride;  // in the padded image
    const std::uint32_t end = first + window - shape.padding;
    return {first > shape.padding ? first - shape.padding : 0, end < size ? end : size};
  }
  TARDIGRAD_HOST_DEVICE Span windows_over(std::uint32_t input, std::uint32_t window,
                                          std::uint32_t outputs) const {
    const std::uint32_t place = input + shape.padding;
    const std::uint32_t last = place / shape.stride + 1;
    return {place < window ? 0 : (place - window) / shape.stride + 1, last < outputs ? last : outputs};
  }
};

/// Places an element of a batch of images: its row, its column, and where its channel begins in another
/// batch.
struct ElementPlace {
  std::uint32_t image, channel, y, x;

  TARDIGRAD_HOST_DEVICE ElementPlace(std::size_t place, const WindowShape& shape, std::uint32_t height,
                                     std::uint32_t width) {
    auto rest = static_cast<std::uint32_t>(place);
    const auto channels = static_cast<std::uint32_t>(shape.channels);
    const auto take = [&rest](std::uint32_t extent) {
      const std::uint32_t index = rest % extent;
      rest /= extent;
      return index;
    };
    channel = shape.format == MemoryFormat::channels_last ? take(channels) : 0;
    x = take(width);
    y = take(height);
    if (shape.format == MemoryFormat::channel_major) channel = take(channels);
    image = rest;
  }

  TARDIGRAD_HOST_DEVICE std::size_t plane(const ImageStrides& strides) const {
    return image * strides.image + channel * strides.channel;
  }
};

/// Calls visit(place in a plane, row, column) for what two spans have in common, in row order.
template <typename Visit>
TARDIGRAD_HOST_DEVICE void visit_places(const Span& rows, const Span& columns, const ImageStrides& strides,
                                        const Visit& visit) {
  for (std::uint32_t y = rows.begin; y < rows.end; ++y) {
    for (std::uint32_t x = columns.begin; x < columns.end; ++x) {
      visit(y * strides.row + x * strides.pixel, y, x);
    }
  }
}

// Each computes the element of its output that lies at a place.

template <typename Number>
TARDIGRAD_HOST_DEVICE void pool_element(const WindowPlan& plan, const MaxPoolForward<Number>& pool,
                                        std::size_t place) {
  const ElementPlace element(place, plan.shape, plan.output_height, plan.output_width);
  const Number* const plane = pool.input + element.plane(plan.in);
  const Span rows = plan.rows_of(element.y);
  const Span columns = plan.columns_of(element.x);
  const auto width = static_cast<std::uint32_t>(plan.shape.width);
  Number best = plane[rows.begin * plan.in.row + columns.begin * plan.in.pixel];
  std::uint32_t winner = rows.begin * width + columns.begin;
  visit_places(rows, columns, plan.in, [&](std::size_t at, std::uint32_t y, std::uint32_t x) {
    const float value = widen(plane[at]);
    const bool is_nan = value != value;
    if (value > widen(best) || is_nan) {
      best = plane[at];
      winner = y * width + x;
    }
  });
  pool.output[place] = best;
  pool.winners[place] = winner;
}

template <typename Number>
TARDIGRAD_HOST_DEVICE void pool_element(const WindowPlan& plan, const MaxPoolBackward<Number>& pool,
                                        std::size_t place) {
  const ElementPlace element(place, plan.shape, static_cast<std::uint32_t>(plan.shape.height),
                             static_cast<std::uint32_t>(plan.shape.width));
  const std::size_t plane = element.plane(plan.out);
  const std::uint32_t own = element.y * static_cast<std::uint32_t>(plan.shape.width) + element.x;
  float sum = 0;
  visit_places(plan.windows_over_row(element.y), plan.windows_over_column(element.x), plan.out,
               [&](std::size_t at, std::uint32_t, std::uint32_t) {
                 if (pool.winners[plane + at] == own) sum += widen(pool.output_gradient[plane + at]);
               });
  pool.input_gradient[place] = nearest<Number>(sum);
}

template <typename Number>
TARDIGRAD_HOST_DEVICE void pool_element(const WindowPlan& plan, const AvgPoolForward<Number>& pool,
                                        std::size_t place) {
  const ElementPlace element(place, plan.shape, plan.output_height, plan.output_width);
  const Number* const plane = pool.input + element.plane(plan.in);
  float sum = 0;
  visit_places(plan.rows_of(element.y), plan.columns_of(element.x), plan.in,
               [&](std::size_t at, std::uint32_t, std::uint32_t) { sum += widen(plane[at]); });
  pool.output[place] = nearest<Number>(sum * plan.share());
}

template <typename Number>
TARDIGRAD_HOST_DEVICE void pool_element(const WindowPlan& plan, const AvgPoolBackward<Number>& pool,
                                        std::size_t place) {
  const ElementPlace element(place, plan.shape, static_cast<std::uint32_t>(plan.shape.height),
                             static_cast<std::uint32_t>(plan.shape.width));
  const Number* const plane = pool.output_gradient + element.plane(plan.out);
  float sum = 0;
  visit_places(plan.windows_over_row(element.y), plan.windows_over_column(element.x), plan.out,
               [&](std::size_t at, std::uint32_t, std::uint32_t) { sum += widen(plane[at]); });
  pool.input_gradient[place] = nearest<Number>(sum * plan.share());
}

// How many elements each computes.

template <typename Number>
std::size_t elements_of(const MaxPoolForward<Number>& pool) {
  return pool.shape.output_size();
}
template <typename Number>
std::size_t elements_of(const AvgPoolForward<Number>& pool) {
  return pool.shape.output_size();
}
template <typename Number>
std::size_t elements_of(const MaxPoolBackward<Number>& pool) {
  return pool.shape.input_size();
}
template <typename Number>
std::size_t elements_of(const AvgPoolBackward<Number>& pool) {
  return pool.shape.input_size();
}

/// Throws std::logic_error as window_pool.h says.
template <typename Operation>
void check_pool(const Operation& pool) {
  if constexpr (requires { pool.winners; }) require<Operation>(pool.winners != nullptr, "winners is null");
  if constexpr (requires { pool.input; }) {
    require<Operation>(pool.input && pool.output, "a pointer is null");
  } else {
    require<Operation>(pool.output_gradient && pool.input_gradient, "a pointer is null");
  }
  const WindowShape& shape = pool.shape;
  require<Operation>((shape.input_size() | shape.output_size()) >> 32 == 0,
                     "too many elements, expected fewer than 2^32");
}

}  // namespace tardigrad
