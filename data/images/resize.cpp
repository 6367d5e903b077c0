#include "data/images/resize.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace tardigrad::data {
namespace {

/// Of one new pixel: weights of old ones, from the first on, that add up to 1.
struct Window {
  std::size_t first = 0;
  std::vector<float> weights;
};

std::vector<Window> windows_of(std::size_t from, std::size_t to) {
  const double scale = static_cast<double>(from) / static_cast<double>(to);
  const double reach = std::max(1.0, scale);  // of a triangle, to either side
  std::vector<Window> windows(to);
  for (std::size_t i = 0; i < to; ++i) {
    const double centre = (static_cast<double>(i) + 0.5) * scale;
    const auto begin = static_cast<std::size_t>(std::max(0.0, std::floor(centre - reach)));
    const auto end = std::min(from, static_cast<std::size_t>(std::ceil(centre + reach)));
    windows[i].first = begin;
    double sum = 0;
    std::vector<double> weights;
    for (std::size_t j = begin; j < end; ++j) {
      const double distance = std::abs(static_cast<double>(j) + 0.5 - centre) / reach;
      weights.push_back(std::max(0.0, 1 - distance));
      sum += weights.back();
    }
    for (const double weight : weights) windows[i].weights.push_back(static_cast<float>(weight / sum));
  }
  return windows;
}

/// Of lines of pixels `stride` apart, the lines themselves `line_stride` apart.
struct Lines {
  std::size_t count;
  std::size_t stride;
  std::size_t line_stride;
};

void filter(const std::vector<Window>& windows, const float* from, const Lines& of_from, float* to,
            const Lines& of_to) {
  for (std::size_t line = 0; line < of_from.count; ++line) {
    for (std::size_t i = 0; i < windows.size(); ++i) {
      const float* pixel = from + line * of_from.line_stride + windows[i].first * of_from.stride;
      float sum = 0;
      for (const float weight : windows[i].weights) {
        sum += weight * *pixel;
        pixel += of_from.stride;
      }
      to[line * of_to.line_stride + i * of_to.stride] = sum;
    }
  }
}

}  // namespace

std::vector<std::uint8_t> resize(const std::vector<std::uint8_t>& pixels, const ImageShape& from,
                                 const ImageShape& to) {
  if (from == to) return pixels;
  const auto height = static_cast<std::size_t>(from.height);
  const auto width = static_cast<std::size_t>(from.width);
  const auto new_height = static_cast<std::size_t>(to.height);
  const auto new_width = static_cast<std::size_t>(to.width);
  const auto channels = static_cast<std::size_t>(from.channels);
  const std::vector<Window> along_rows = windows_of(width, new_width);
  const std::vector<Window> along_columns = windows_of(height, new_height);
  const std::vector<float> values(pixels.begin(), pixels.end());
  std::vector<float> narrow(channels * height * new_width);
  std::vector<float> resized(to.size());
  filter(along_rows, values.data(), {channels * height, 1, width}, narrow.data(),
         {channels * height, 1, new_width});
  for (std::size_t c = 0; c < channels; ++c) {
    filter(along_columns, narrow.data() + c * height * new_width, {new_width, new_width, 1},
           resized.data() + c * new_height * new_width, {new_width, new_width, 1});
  }
  std::vector<std::uint8_t> result(resized.size());
  std::ranges::transform(resized, result.begin(), [](float value) {
    return static_cast<std::uint8_t>(std::clamp(std::lround(value), 0L, 255L));
  });
  return result;
}

}  // namespace tardigrad::data
