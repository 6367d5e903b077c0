#include "models/layers/convolution.h"

#include <algorithm>
#include <vector>

#include "models/layers/lanes.h"

namespace tardigrad::models::plain {
namespace {

/// Where one of the weights of a kernel meets the image: the output pixels y × x, each of which reads the
/// input pixel (y · stride + down, x · stride + right).
struct Tap {
  int y_begin, y_end, x_begin, x_end;
  int down, right;
};

/// The outputs, of `count`, whose input at[output · stride + shift] lies in [0, size).
std::pair<int, int> outputs_inside(int count, int size, int stride, int shift) {
  const int begin = shift >= 0 ? 0 : (-shift + stride - 1) / stride;
  const int end = size - shift <= 0 ? 0 : (size - shift - 1) / stride + 1;
  return {std::min(begin, count), std::clamp(end, std::min(begin, count), count)};
}

std::vector<Tap> taps_of(const Convolution& conv) {
  std::vector<Tap> taps;
  for (int i = 0; i < conv.kernel; ++i) {
    for (int j = 0; j < conv.kernel; ++j) {
      const int down = i - conv.padding;
      const int right = j - conv.padding;
      const auto [y_begin, y_end] = outputs_inside(conv.out_height(), conv.height, conv.stride, down);
      const auto [x_begin, x_end] = outputs_inside(conv.out_width(), conv.width, conv.stride, right);
      taps.push_back({y_begin, y_end, x_begin, x_end, down, right});
    }
  }
  return taps;
}

/// Calls visit(first output, first input, count) for each row of output pixels that a tap looks at, on one
/// plane of each; the inputs are a stride apart.
template <typename Visit>
void for_each_row(const Convolution& conv, const Tap& tap, const Visit& visit) {
  const int count = tap.x_end - tap.x_begin;
  for (int y = tap.y_begin; y < tap.y_end; ++y) {
    const int input_row = (y * conv.stride + tap.down) * conv.width;
    visit(y * conv.out_width() + tap.x_begin, input_row + tap.x_begin * conv.stride + tap.right, count);
  }
}

/// output[y,x] += Σ_taps weight[tap] · input[what the tap reads] on one plane.
template <typename T>
void correlate(const Convolution& conv, const std::vector<Tap>& taps, const T* weight, const T* input,
               T* output) {
  const int stride = conv.stride;
  for (const Tap& tap : taps) {
    const T w = *weight++;
    for_each_row(conv, tap, [&](int out, int in, int count) {
      for (int x = 0; x < count; ++x) output[out + x] += w * input[in + x * stride];
    });
  }
}

/// The transpose of correlate: input[what the tap reads] += Σ_taps weight[tap] · output[y,x].
template <typename T>
void scatter(const Convolution& conv, const std::vector<Tap>& taps, const T* weight, const T* output,
             T* input) {
  const int stride = conv.stride;
  for (const Tap& tap : taps) {
    const T w = *weight++;
    for_each_row(conv, tap, [&](int out, int in, int count) {
      for (int x = 0; x < count; ++x) input[in + x * stride] += w * output[out + x];
    });
  }
}

/// gradient[tap] += Σ_{y,x} output_gradient[y,x] · input[what the tap reads].
template <typename T>
void add_weight_gradient(const Convolution& conv, const std::vector<Tap>& taps, const T* input,
                         const T* output_gradient, T* gradient) {
  const int stride = conv.stride;
  for (const Tap& tap : taps) {
    T sum = 0;
    for_each_row(conv, tap, [&](int out, int in, int count) {
      if (stride == 1) {
        sum += dot(count, output_gradient + out, input + in);
      } else {
        for (int x = 0; x < count; ++x) sum += output_gradient[out + x] * input[in + x * stride];
      }
    });
    *gradient++ += sum;
  }
}

/// Calls visit(output channel, input channel, offset of their kernel in the weights) for all that belong
/// together.
template <typename Visit>
void for_each_kernel(const Convolution& conv, const Visit& visit) {
  const int outputs = conv.out_channels / conv.groups;
  int kernel = 0;
  for (int out = 0; out < conv.out_channels; ++out) {
    const int first = out / outputs * conv.group_inputs();
    for (int in = first; in < first + conv.group_inputs(); ++in) {
      visit(out, in, kernel);
      kernel += conv.kernel * conv.kernel;
    }
  }
}

}  // namespace

template <typename T>
void forward(const Convolution& conv, int batch, const T* parameters, const T* input, T* output) {
  const T* weight = parameters + conv.weight_offset;
  const int input_plane = conv.height * conv.width;
  const int plane = conv.out_height() * conv.out_width();
  const auto taps = taps_of(conv);
  for (int n = 0; n < batch; ++n, input += conv.input_size(), output += conv.output_size()) {
    for (int out = 0; out < conv.out_channels; ++out) {
      std::fill_n(output + out * plane, plane, conv.bias_offset ? parameters[*conv.bias_offset + out] : T{0});
    }
    for_each_kernel(conv, [&](int out, int in, int kernel) {
      correlate(conv, taps, weight + kernel, input + in * input_plane, output + out * plane);
    });
  }
}

template <typename T>
void backward(const Convolution& conv, int batch, const T* parameters, const T* input,
              const T* output_gradient, T* input_gradient, T* gradient) {
  const T* weight = parameters + conv.weight_offset;
  T* weight_gradient = gradient + conv.weight_offset;
  T* bias_gradient = conv.bias_offset ? gradient + *conv.bias_offset : nullptr;
  std::fill_n(weight_gradient, conv.weight_size(), T{0});
  if (bias_gradient) std::fill_n(bias_gradient, conv.out_channels, T{0});
  const int input_plane = conv.height * conv.width;
  const int plane = conv.out_height() * conv.out_width();
  const auto taps = taps_of(conv);
  for (int n = 0; n < batch; ++n, input += conv.input_size(), output_gradient += conv.output_size()) {
    for (int at = 0; bias_gradient && at < conv.out_channels * plane; ++at) {
      bias_gradient[at / plane] += output_gradient[at];
    }
    for_each_kernel(conv, [&](int out, int in, int kernel) {
      add_weight_gradient(conv, taps, input + in * input_plane, output_gradient + out * plane,
                          weight_gradient + kernel);
    });
    if (!input_gradient) continue;
    // Only now, since it may be the memory of this example's input.
    T* dx = input_gradient + n * conv.input_size();
    std::fill_n(dx, conv.input_size(), T{0});
    for_each_kernel(conv, [&](int out, int in, int kernel) {
      scatter(conv, taps, weight + kernel, output_gradient + out * plane, dx + in * input_plane);
    });
  }
}

template void forward(const Convolution&, int, const float*, const float*, float*);
template void forward(const Convolution&, int, const double*, const double*, double*);
template void backward(const Convolution&, int, const float*, const float*, const float*, float*, float*);
template void backward(const Convolution&, int, const double*, const double*, const double*, double*,
                       double*);

}  // namespace tardigrad::models::plain
