#include <algorithm>
#include <cmath>

#include "models/layers/max_pool.h"

namespace tardigrad::models::plain {
namespace {

/// The element of a 2×2 window, given by its first, that PyTorch takes.
template <typename T>
const T* maximum_of_window(const T* first, int width) {
  const T* best = first;
  for (const T* other : {first + 1, first + width, first + width + 1}) {
    if (*other > *best || std::isnan(*other)) best = other;
  }
  return best;
}

/// visit(first element of the window in its plane, output element), over all windows of all planes.
template <typename Visit>
void for_each_window(const MaxPool2x2& pool, int batch, Visit visit) {
  std::size_t output = 0;
  for (int plane = 0; plane < batch * pool.channels; ++plane) {
    for (int y = 0; y + 1 < pool.height; y += 2) {
      for (int x = 0; x + 1 < pool.width; x += 2) {
        visit((static_cast<std::size_t>(plane) * pool.height + y) * pool.width + x, output++);
      }
    }
  }
}

}  // namespace

template <typename T>
void forward(const MaxPool2x2& pool, int batch, const T* /*parameters*/, const T* input, T* output) {
  for_each_window(pool, batch, [&](std::size_t first, std::size_t out) {
    output[out] = *maximum_of_window(input + first, pool.width);
  });
}

template <typename T>
void backward(const MaxPool2x2& pool, int batch, const T* /*parameters*/, const T* input,
              const T* output_gradient, T* input_gradient, T* /*gradient*/) {
  if (!input_gradient) return;
  for_each_window(pool, batch, [&](std::size_t first, std::size_t out) {
    const std::ptrdiff_t best = maximum_of_window(input + first, pool.width) - input;
    // Window by window, since input_gradient may be the memory of the input.
    for (const std::size_t row : {first, first + pool.width}) std::fill_n(input_gradient + row, 2, T{0});
    input_gradient[best] = output_gradient[out];
  });
  const std::size_t width = pool.width;
  for (int plane = 0; plane < batch * pool.channels; ++plane, input_gradient += pool.height * width) {
    if (pool.height % 2 == 1) std::fill_n(input_gradient + (pool.height - 1) * width, width, T{0});
    if (pool.width % 2 == 0) continue;
    for (int y = 0; y < pool.height; ++y) input_gradient[y * width + width - 1] = 0;
  }
}

template void forward(const MaxPool2x2&, int, const float*, const float*, float*);
template void forward(const MaxPool2x2&, int, const double*, const double*, double*);
template void backward(const MaxPool2x2&, int, const float*, const float*, const float*, float*, float*);
template void backward(const MaxPool2x2&, int, const double*, const double*, const double*, double*, double*);

}  // namespace tardigrad::models::plain
