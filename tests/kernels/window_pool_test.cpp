#include "kernels/window_pool.h"

#include <cmath>
#include <optional>

#include "tests/kernels/backend.h"
#include "tests/kernels/pool_cases.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;

std::size_t input_place(const WindowShape& s, std::size_t n, std::size_t c, std::size_t y, std::size_t x) {
  return place_of(s.format, {s.channels, s.height, s.width}, n, c, y, x);
}

/// Calls visit(n, c, output place, input places) for every window.
template <typename Visit>
void for_each_window(const WindowShape& s, const Visit& visit) {
  const auto on_image = [&](std::size_t output, unsigned offset,
                            std::size_t size) -> std::optional<std::size_t> {
    const std::size_t padded = output * s.stride + offset;
    if (padded < s.padding || padded - s.padding >= size) return std::nullopt;
    return padded - s.padding;
  };
  for (std::size_t n = 0; n < s.batch; ++n) {
    for (std::size_t c = 0; c < s.channels; ++c) {
      for (std::size_t y = 0; y < s.output_height(); ++y) {
        for (std::size_t x = 0; x < s.output_width(); ++x) {
          std::vector<std::size_t> places;
          for (unsigned i = 0; i < s.window_height; ++i) {
            for (unsigned j = 0; j < s.window_width; ++j) {
              const auto row = on_image(y, i, s.height);
              const auto column = on_image(x, j, s.width);
              if (row && column) places.push_back(input_place(s, n, c, *row, *column));
            }
          }
          visit(place_of(s.format, {s.channels, s.output_height(), s.output_width()}, n, c, y, x), places);
        }
      }
    }
  }
}

/// Windows that overlap and that leave gaps, with padding and without, one of all, and no images.
template <typename Check>
void for_each_shape(const Check& check) {
  for (const WindowShape& sizes : {WindowShape{2, 3, 7, 9, 3, 3, 2, 1},
                                   {3, 8, 6, 6, 2, 2, 2, 0},
                                   {1, 5, 9, 8, 3, 3, 1, 1},
                                   {2, 40, 8, 8, 8, 8, 1, 0},
                                   {1, 2, 10, 7, 2, 2, 3, 1},
                                   {2, 4, 5, 11, 5, 11, 1, 0},
                                   {1, 1, 1, 1, 1, 1, 1, 0},
                                   {0, 3, 4, 4, 2, 2, 2, 0}}) {
    for (const MemoryFormat format : {MemoryFormat::channel_major, MemoryFormat::channels_last}) {
      WindowShape shape = sizes;
      shape.format = format;
      SCOPED_TRACE(::testing::Message()
                   << shape.batch << " × " << shape.channels << " × " << shape.height << " × " << shape.width
                   << ", windows of " << shape.window_height << " × " << shape.window_width << ", format "
                   << static_cast<int>(format));
      check(float{}, shape);
      check(Bf16{}, shape);
      ASSERT_FALSE(::testing::Test::HasFailure());
    }
  }
}

template <typename Number>
std::vector<Number> blank(std::size_t size) {
  return std::vector<Number>(size, nearest<Number>(-77));
}

class WindowPoolContract : public OnBackend {};

TEST_P(WindowPoolContract, TakesTheFirstMaximumAndGivesItTheGradient) {
  for_each_shape([]<typename Number>(Number, const WindowShape& shape) {
    std::vector<Number> values = dyadic_numbers<Number>(shape.input_size(), 1);  // with many that are equal
    if (values.size() > 5) values[5] = nearest<Number>(poison);
    const std::vector<Number> gradients = dyadic_numbers<Number>(shape.output_size(), 2);
    std::vector<Number> maxima(shape.output_size());
    std::vector<float> sums(shape.input_size());
    for_each_window(shape, [&](std::size_t output, const std::vector<std::size_t>& places) {
      std::size_t best = places.front();
      for (const std::size_t place : places) {
        const float value = widen(values[place]);
        if (value > widen(values[best]) || std::isnan(value)) best = place;
      }
      maxima[output] = values[best];
      sums[best] += widen(gradients[output]);  // exact
    });
    const Guarded<Number> input(GetParam(), values);
    const Guarded<Number> output(GetParam(), blank<Number>(maxima.size()));
    const Guarded<std::uint32_t> winners(GetParam(), std::vector<std::uint32_t>(maxima.size(), 77));
    execute(GetParam(), MaxPoolForward<Number>{shape, input.data(), output.data(), winners.data()});
    EXPECT_TRUE(same_bits(output.values(), maxima));

    const Guarded<Number> output_gradient(GetParam(), gradients);
    const Guarded<Number> input_gradient(GetParam(), blank<Number>(values.size()));
    execute(GetParam(),
            MaxPoolBackward<Number>{shape, output_gradient.data(), winners.data(), input_gradient.data()});
    std::vector<Number> want;
    for (const float sum : sums) want.push_back(nearest<Number>(sum));
    EXPECT_TRUE(same_bits(input_gradient.values(), want));
  });
}

TEST_P(WindowPoolContract, TakesTheMeanAndSharesTheGradient) {
  for_each_shape([]<typename Number>(Number, const WindowShape& shape) {
    const std::vector<Number> values = dyadic_numbers<Number>(shape.input_size(), 3);
    const std::vector<Number> gradients = dyadic_numbers<Number>(shape.output_size(), 4);
    const float share = 1 / static_cast<float>(shape.window_height * shape.window_width);
    std::vector<Number> means(shape.output_size());
    std::vector<float> sums(shape.input_size());
    for_each_window(shape, [&](std::size_t output, const std::vector<std::size_t>& places) {
      float sum = 0;
      for (const std::size_t place : places) {
        sum += widen(values[place]);  // exact, as are the sums of the gradients
        sums[place] += widen(gradients[output]);
      }
      means[output] = nearest<Number>(sum * share);
    });
    const Guarded<Number> input(GetParam(), values);
    const Guarded<Number> output(GetParam(), blank<Number>(means.size()));
    execute(GetParam(), AvgPoolForward<Number>{shape, input.data(), output.data()});
    EXPECT_TRUE(same_bits(output.values(), means));

    const Guarded<Number> output_gradient(GetParam(), gradients);
    const Guarded<Number> input_gradient(GetParam(), blank<Number>(values.size()));
    execute(GetParam(), AvgPoolBackward<Number>{shape, output_gradient.data(), input_gradient.data()});
    std::vector<Number> want;
    for (const float sum : sums) want.push_back(nearest<Number>(sum * share));
    EXPECT_TRUE(same_bits(input_gradient.values(), want));
  });
}

INSTANTIATE_TEST_SUITE_P(Backends, WindowPoolContract, every_backend, ::testing::PrintToStringParamName());

TEST(WindowPool, RefusesWhatItCannotDo) {
  float value = 0;
  std::uint32_t winner = 0;
  const WindowShape shape{1, 1, 2, 2};
  expect_refused(MaxPoolForward<float>{shape, nullptr, &value, &winner}, "max_pool: a pointer is null");
  expect_refused(MaxPoolForward<float>{shape, &value, &value, nullptr}, "winners is null");
  expect_refused(MaxPoolBackward<float>{shape, &value, &winner, nullptr}, "a pointer is null");
  expect_refused(AvgPoolForward<float>{shape, &value, nullptr}, "a pointer is null");
  expect_refused(AvgPoolBackward<float>{{65536, 65536, 2, 2}, &value, &value}, "too many elements");
}

TEST(WindowPool, CountsBytes) {
  const WindowShape shape{1, 2, 4, 4};
  EXPECT_EQ((AvgPoolForward<float>{shape, nullptr, nullptr}.bytes()), 160);
  EXPECT_EQ((MaxPoolForward<Bf16>{shape, nullptr, nullptr, nullptr}.bytes()), 112);
}

}  // namespace
}  // namespace tardigrad
