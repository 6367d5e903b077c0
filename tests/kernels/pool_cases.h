#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <ostream>
#include <random>
#include <vector>

#include "kernels/bf16.h"
#include "kernels/pool_shape.h"
#include "tests/kernels/backend.h"

/// Shapes and numbers for the tests of pooling, and the definition to hold it to.

namespace tardigrad::testing {

inline std::size_t place_of(MemoryFormat format, std::array<std::size_t, 3> image, std::size_t n,
                            std::size_t c, std::size_t y, std::size_t x) {
  const auto [channels, height, width] = image;
  return format == MemoryFormat::channel_major ? ((n * channels + c) * height + y) * width + x
                                               : ((n * height + y) * width + x) * channels + c;
}

inline std::size_t input_place(const PoolShape& s, std::size_t n, std::size_t c, std::size_t y,
                               std::size_t x) {
  return place_of(s.input_format, {s.channels, s.height, s.width}, n, c, y, x);
}

inline std::size_t output_place(const PoolShape& s, std::size_t n, std::size_t c, std::size_t y,
                                std::size_t x) {
  return place_of(s.output_format, {s.channels, s.height / 2, s.width / 2}, n, c, y, x);
}

/// visit(n, c, y, x) for every element of the output.
template <typename Visit>
void for_each_output(const PoolShape& s, const Visit& visit) {
  for (std::size_t n = 0; n < s.batch; ++n) {
    for (std::size_t c = 0; c < s.channels; ++c) {
      for (std::size_t y = 0; y < s.height / 2; ++y) {
        for (std::size_t x = 0; x < s.width / 2; ++x) visit(n, c, y, x);
      }
    }
  }
}

/// Calls `check` with shapes in every combination of formats: multiples of what a GPU moves at once and not,
/// odd sizes, more channels than a block has threads, planes larger than a warp, and what has no window.
template <typename Check>
void for_each_pool_shape(const Check& check) {
  const std::vector<std::array<std::size_t, 4>> shapes{
      {2, 8, 4, 16},   {3, 4, 6, 8},    {2, 5, 7, 7},  {1, 1, 2, 2},  {5, 16, 28, 14},
      {2, 3, 5, 4},    {2, 64, 4, 8},   {9, 24, 8, 8}, {2, 7, 36, 6}, {1, 301, 4, 2},
      {1, 1032, 2, 6}, {3, 2056, 2, 2}, {40, 8, 3, 8}};
  const std::vector<std::array<std::size_t, 4>> windowless{
      {0, 3, 4, 4}, {2, 0, 4, 4}, {2, 3, 1, 4}, {2, 3, 4, 1}};
  constexpr MemoryFormat formats[] = {MemoryFormat::channel_major, MemoryFormat::channels_last};
  for (const auto* list : {&shapes, &windowless}) {
    for (const auto& [batch, channels, height, width] : *list) {
      for (const MemoryFormat input : formats) {
        for (const MemoryFormat output : formats) {
          SCOPED_TRACE(::testing::Message()
                       << batch << " × " << channels << " × " << height << " × " << width << ", "
                       << (input == MemoryFormat::channel_major ? "NCHW" : "NHWC") << " → "
                       << (output == MemoryFormat::channel_major ? "NCHW" : "NHWC"));
          check(PoolShape{batch, channels, height, width, input, output});
          ASSERT_FALSE(::testing::Test::HasFailure());
        }
      }
    }
  }
}

/// Multiples of 1/8 in [−2, 2), which bf16 has exactly, as it has the sum of any two.
template <typename Number>
std::vector<Number> dyadic_numbers(std::size_t size, unsigned seed) {
  std::minstd_rand random(seed);
  std::vector<Number> numbers(size);
  for (Number& number : numbers) {
    number = nearest<Number>(static_cast<float>(static_cast<int>(random() >> 8 & 31U) - 16) / 8);
  }
  return numbers;
}

template <typename Number>
std::vector<Number> random_numbers(std::size_t size, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<Number> numbers(size);
  for (Number& number : numbers) number = nearest<Number>(uniform(random));
  return numbers;
}

}  // namespace tardigrad::testing
