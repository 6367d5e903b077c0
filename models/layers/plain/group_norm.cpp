#include "models/layers/group_norm.h"

#include <algorithm>

#include "models/layers/plain/standardise.h"

namespace tardigrad::models::plain {
namespace {

/// Calls visit(first element, number of elements, channel(element of the group)) for each group of each
/// example.
template <typename Visit>
void for_each_group(const GroupNorm& norm, int batch, const Visit& visit) {
  const std::size_t size = static_cast<std::size_t>(norm.group_channels()) * norm.pixels;
  const std::size_t groups = static_cast<std::size_t>(batch) * norm.groups;
  for (std::size_t g = 0; g < groups; ++g) {
    const std::size_t first = g % norm.groups * norm.group_channels();
    visit(g * size, size, [&norm, first](std::size_t i) { return first + i / norm.pixels; });
  }
}

}  // namespace

template <typename T>
void forward(const GroupNorm& norm, int batch, const T* parameters, const T* input, T* output) {
  for_each_group(norm, batch, [&](std::size_t first, std::size_t size, const auto& channel) {
    normalise(input + first, size, static_cast<T>(norm.epsilon), parameters + norm.weight_offset,
              parameters + norm.bias_offset, channel, output + first);
  });
}

template <typename T>
void backward(const GroupNorm& norm, int batch, const T* parameters, const T* input, const T* output_gradient,
              T* input_gradient, T* gradient) {
  T* weight_gradient = gradient + norm.weight_offset;
  T* bias_gradient = gradient + norm.bias_offset;
  std::fill_n(weight_gradient, norm.channels, T{0});
  std::fill_n(bias_gradient, norm.channels, T{0});
  for_each_group(norm, batch, [&](std::size_t first, std::size_t size, const auto& channel) {
    normalise_backward(input + first, size, static_cast<T>(norm.epsilon), parameters + norm.weight_offset,
                       channel, output_gradient + first, input_gradient ? input_gradient + first : nullptr,
                       weight_gradient, bias_gradient);
  });
}

template void forward(const GroupNorm&, int, const float*, const float*, float*);
template void forward(const GroupNorm&, int, const double*, const double*, double*);
template void backward(const GroupNorm&, int, const float*, const float*, const float*, float*, float*);
template void backward(const GroupNorm&, int, const double*, const double*, const double*, double*, double*);

}  // namespace tardigrad::models::plain
