#include "models/layers/pool.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "models/layers/pool_windows.h"

namespace tardigrad::models::plain {
namespace {

/// The element of a window of a plane that PyTorch takes.
template <typename T>
std::size_t maximum_of(const PoolWindows& pool, const VisibleWindow& window, const T* plane) {
  std::size_t best = static_cast<std::size_t>(window.y_begin) * pool.width + window.x_begin;
  for (int y = window.y_begin; y < window.y_end; ++y) {
    for (int x = window.x_begin; x < window.x_end; ++x) {
      const std::size_t at = static_cast<std::size_t>(y) * pool.width + x;
      if (plane[at] > plane[best] || std::isnan(plane[at])) best = at;
    }
  }
  return best;
}

/// Calls visit(input plane, output plane), by number, for all planes of a batch.
template <typename Visit>
void for_each_plane(const PoolWindows& pool, int batch, const Visit& visit) {
  const std::size_t input = static_cast<std::size_t>(pool.height) * pool.width;
  const std::size_t output = static_cast<std::size_t>(pool.out_height()) * pool.out_width();
  const std::size_t planes = static_cast<std::size_t>(batch) * pool.channels;
  for (std::size_t plane = 0; plane < planes; ++plane) visit(plane * input, plane * output);
}

}  // namespace

template <typename T>
void forward(const MaxPool& pool, int batch, const T* /*parameters*/, const T* input, T* output) {
  for_each_plane(pool, batch, [&](std::size_t in, std::size_t out) {
    for_each_window(pool, [&](const VisibleWindow& window, std::size_t) {
      output[out++] = input[in + maximum_of(pool, window, input + in)];
    });
  });
}

template <typename T>
void backward(const MaxPool& pool, int batch, const T* /*parameters*/, const T* input,
              const T* output_gradient, T* input_gradient, T* /*gradient*/) {
  if (!input_gradient) return;
  std::vector<std::size_t> maxima;
  for_each_plane(pool, batch, [&](std::size_t in, std::size_t out) {
    maxima.clear();
    for_each_window(pool, [&](const VisibleWindow& window, std::size_t) {
      maxima.push_back(maximum_of(pool, window, input + in));
    });
    // Only now, since input_gradient may be the memory of the input.
    std::fill_n(input_gradient + in, pool.height * pool.width, T{0});
    for (const std::size_t maximum : maxima) input_gradient[in + maximum] += output_gradient[out++];
  });
}

template <typename T>
void forward(const AvgPool& pool, int batch, const T* /*parameters*/, const T* input, T* output) {
  const T share = T{1} / static_cast<T>(pool.kernel * pool.kernel);
  for_each_plane(pool, batch, [&](std::size_t in, std::size_t out) {
    for_each_window(pool, [&](const VisibleWindow& window, std::size_t) {
      T sum = 0;
      for (int y = window.y_begin; y < window.y_end; ++y) {
        const T* row = input + in + static_cast<std::size_t>(y) * pool.width;
        for (int x = window.x_begin; x < window.x_end; ++x) sum += row[x];
      }
      output[out++] = sum * share;
    });
  });
}

template <typename T>
void backward(const AvgPool& pool, int batch, const T* /*parameters*/, const T* /*input*/,
              const T* output_gradient, T* input_gradient, T* /*gradient*/) {
  if (!input_gradient) return;
  const T share = T{1} / static_cast<T>(pool.kernel * pool.kernel);
  std::fill_n(input_gradient, batch * pool.input_size(), T{0});
  for_each_plane(pool, batch, [&](std::size_t in, std::size_t out) {
    for_each_window(pool, [&](const VisibleWindow& window, std::size_t) {
      const T part = output_gradient[out++] * share;
      for (int y = window.y_begin; y < window.y_end; ++y) {
        T* row = input_gradient + in + static_cast<std::size_t>(y) * pool.width;
        for (int x = window.x_begin; x < window.x_end; ++x) row[x] += part;
      }
    });
  });
}

template <typename T>
void forward(const GlobalAvgPool& pool, int batch, const T* /*parameters*/, const T* input, T* output) {
  for (std::size_t plane = 0; plane < batch * pool.output_size(); ++plane, input += pool.pixels) {
    T sum = 0;
    for (int i = 0; i < pool.pixels; ++i) sum += input[i];
    output[plane] = sum / static_cast<T>(pool.pixels);
  }
}

template <typename T>
void backward(const GlobalAvgPool& pool, int batch, const T* /*parameters*/, const T* /*input*/,
              const T* output_gradient, T* input_gradient, T* /*gradient*/) {
  if (!input_gradient) return;
  for (std::size_t plane = 0; plane < batch * pool.output_size(); ++plane, input_gradient += pool.pixels) {
    std::fill_n(input_gradient, pool.pixels, output_gradient[plane] / static_cast<T>(pool.pixels));
  }
}

template void forward(const MaxPool&, int, const float*, const float*, float*);
template void forward(const MaxPool&, int, const double*, const double*, double*);
template void backward(const MaxPool&, int, const float*, const float*, const float*, float*, float*);
template void backward(const MaxPool&, int, const double*, const double*, const double*, double*, double*);
template void forward(const AvgPool&, int, const float*, const float*, float*);
template void forward(const AvgPool&, int, const double*, const double*, double*);
template void backward(const AvgPool&, int, const float*, const float*, const float*, float*, float*);
template void backward(const AvgPool&, int, const double*, const double*, const double*, double*, double*);
template void forward(const GlobalAvgPool&, int, const float*, const float*, float*);
template void forward(const GlobalAvgPool&, int, const double*, const double*, double*);
template void backward(const GlobalAvgPool&, int, const float*, const float*, const float*, float*, float*);
template void backward(const GlobalAvgPool&, int, const double*, const double*, const double*, double*,
                       double*);

}  // namespace tardigrad::models::plain
