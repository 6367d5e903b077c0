#include <algorithm>
#include <array>

#include "models/layers/conv3x3.h"
#include "models/layers/lanes.h"

namespace tardigrad::models::plain {
namespace {

/// Where one of the nine weights of a kernel meets the image: the output pixels y × x, each of which reads
/// the input pixel `shift` elements further on.
struct Tap {
  int y_begin, y_end, x_begin, x_end;
  int shift;
};

std::array<Tap, 9> taps_of(int height, int width) {
  std::array<Tap, 9> taps{};
  for (int i = 0; i < 3; ++i) {
    for (int j = 0; j < 3; ++j) {
      taps[3 * i + j] = {std::max(0, 1 - i), std::min(height, height + 1 - i), std::max(0, 1 - j),
                         std::min(width, width + 1 - j), (i - 1) * width + j - 1};
    }
  }
  return taps;
}

/// to[y,x] += Σ_taps weight[tap] · from[y,x + shift] on one plane.
template <typename T>
void correlate(const std::array<Tap, 9>& taps, int width, const T* weight, const T* from, T* to) {
  for (const Tap& tap : taps) {
    const T w = *weight++;
    for (int y = tap.y_begin; y < tap.y_end; ++y) {
      const int row = y * width;
      for (int at = row + tap.x_begin; at < row + tap.x_end; ++at) to[at] += w * from[at + tap.shift];
    }
  }
}

/// The transpose of correlate: to[y,x + shift] += Σ_taps weight[tap] · from[y,x].
template <typename T>
void scatter(const std::array<Tap, 9>& taps, int width, const T* weight, const T* from, T* to) {
  for (const Tap& tap : taps) {
    const T w = *weight++;
    for (int y = tap.y_begin; y < tap.y_end; ++y) {
      const int row = y * width;
      for (int at = row + tap.x_begin; at < row + tap.x_end; ++at) to[at + tap.shift] += w * from[at];
    }
  }
}

/// gradient[tap] += Σ_{y,x} output_gradient[y,x] · input[y,x + shift].
template <typename T>
void add_weight_gradient(const std::array<Tap, 9>& taps, int width, const T* input, const T* output_gradient,
                         T* gradient) {
  for (const Tap& tap : taps) {
    T sum = 0;
    for (int y = tap.y_begin; y < tap.y_end; ++y) {
      const int at = y * width + tap.x_begin;
      sum += dot(tap.x_end - tap.x_begin, output_gradient + at, input + at + tap.shift);
    }
    *gradient++ += sum;
  }
}

/// The kernel from input channel `in` to output channel `out`, as an offset into the weights.
int kernel_offset(const Conv3x3& conv, int out, int in) { return (out * conv.in_channels + in) * 9; }

}  // namespace

template <typename T>
void forward(const Conv3x3& conv, int batch, const T* parameters, const T* input, T* output) {
  const T* weight = parameters + conv.weight_offset;
  const T* bias = parameters + conv.bias_offset;
  const int plane = conv.height * conv.width;
  const auto taps = taps_of(conv.height, conv.width);
  for (int n = 0; n < batch; ++n, input += conv.in_channels * plane) {
    for (int out = 0; out < conv.out_channels; ++out, output += plane) {
      std::fill_n(output, plane, bias[out]);
      for (int in = 0; in < conv.in_channels; ++in) {
        correlate(taps, conv.width, weight + kernel_offset(conv, out, in), input + in * plane, output);
      }
    }
  }
}

template <typename T>
void backward(const Conv3x3& conv, int batch, const T* parameters, const T* input, const T* output_gradient,
              T* input_gradient, T* gradient) {
  const T* weight = parameters + conv.weight_offset;
  T* weight_gradient = gradient + conv.weight_offset;
  T* bias_gradient = gradient + conv.bias_offset;
  std::fill_n(weight_gradient, conv.out_channels * conv.in_channels * 9, T{0});
  std::fill_n(bias_gradient, conv.out_channels, T{0});
  const int plane = conv.height * conv.width;
  const std::ptrdiff_t input_size = std::ptrdiff_t{conv.in_channels} * plane;
  const auto taps = taps_of(conv.height, conv.width);
  for (int n = 0; n < batch; ++n, input += input_size, output_gradient += conv.out_channels * plane) {
    for (int out = 0; out < conv.out_channels; ++out) {
      const T* dy = output_gradient + out * plane;
      for (int at = 0; at < plane; ++at) bias_gradient[out] += dy[at];
      for (int in = 0; in < conv.in_channels; ++in) {
        add_weight_gradient(taps, conv.width, input + in * plane, dy,
                            weight_gradient + kernel_offset(conv, out, in));
      }
    }
    if (!input_gradient) continue;
    // Only now, since it may be the memory of this example's input.
    T* dx = input_gradient + n * input_size;
    std::fill_n(dx, input_size, T{0});
    for (int in = 0; in < conv.in_channels; ++in) {
      for (int out = 0; out < conv.out_channels; ++out) {
        scatter(taps, conv.width, weight + kernel_offset(conv, out, in), output_gradient + out * plane,
                dx + in * plane);
      }
    }
  }
}

template void forward(const Conv3x3&, int, const float*, const float*, float*);
template void forward(const Conv3x3&, int, const double*, const double*, double*);
template void backward(const Conv3x3&, int, const float*, const float*, const float*, float*, float*);
template void backward(const Conv3x3&, int, const double*, const double*, const double*, double*, double*);

}  // namespace tardigrad::models::plain
