#include "kernels/channel_parts.h"
#include "kernels/conv_relu_pool_math.h"
#include "kernels/require.h"

namespace tardigrad {
namespace {

/// Calls visit(i, pixel) for every pixel that one element of the convolution's output reads, in the order of
/// the weights, which i counts. The first one is at (row, column) of image n with its padding.
template <typename Number, typename Visit>
void for_each_pixel(const ConvPoolShape& shape, const Number* input, std::size_t n, std::size_t row,
                    std::size_t column, const Visit& visit) {
  const ImageStrides strides = input_strides(shape);
  const PaddedPlanes planes(shape);
  std::size_t i = 0;
  for (std::size_t c = 0; c < shape.input_channels; ++c) {
    const Number* const plane = input + n * strides.image + c * strides.channel;
    for (unsigned y = 0; y < shape.kernel; ++y) {
      for (unsigned x = 0; x < shape.kernel; ++x) {
        visit(i++, planes.at(plane, static_cast<unsigned>(row) + y, static_cast<unsigned>(column) + x));
      }
    }
  }
}

template <typename Operation>
void check_shape(const Operation& operation) {
  require<Operation>(operation.shape.is_supported(), "a shape that is not supported");
  require<Operation>(countable(operation.shape.pool()), "too many windows, expected fewer than 2^32");
}

}  // namespace

PoolShape ConvPoolShape::pool() const {
  const auto output_of = [this](std::size_t size) {
    const std::size_t padded = size + 2 * std::size_t{padding};
    return padded < kernel ? 0 : padded - kernel + 1;
  };
  return {batch, channels, output_of(height), output_of(width), MemoryFormat::channel_major, output_format};
}

bool ConvPoolShape::is_supported() const {
  if (kernel != 3 && kernel != 5) return false;
  if (padding >= kernel || input_channels == 0 || input_channels > most_input_channels) return false;
  if (width > band_floats || height >> 31 != 0) return false;
  return (kernel + 1) * row_floats_of(*this) * input_channels <= band_floats;
}

template <typename Number>
void check(const ConvReluPool<Number>& operation) {
  using Operation = ConvReluPool<Number>;
  check_shape(operation);
  require<Operation>(operation.input != nullptr, "input is null");
  require<Operation>(operation.weight != nullptr, "weight is null");
  require<Operation>(operation.bias != nullptr, "bias is null");
  require<Operation>(operation.output != nullptr, "output is null");
}

template <typename Number>
void check(const ConvReluPoolBackward<Number>& operation) {
  using Operation = ConvReluPoolBackward<Number>;
  check_shape(operation);
  require<Operation>(operation.input != nullptr, "input is null");
  require<Operation>(operation.output_gradient != nullptr, "output_gradient is null");
  require<Operation>(operation.winners != nullptr, "winners is null");
  require<Operation>(operation.partial_sums != nullptr, "partial_sums is null");
}

template <typename Number>
void ConvReluPool<Number>::run() const {
  if (shape.output_size() == 0) return;
  check(*this);
  for_each_pooled(shape.pool(), [&](const WindowPlace& place, std::size_t o, std::size_t at) {
    const float* const weights = weight + o * shape.weights_of_one();
    float sums[4] = {};
    for (std::size_t i = 0; i < 4; ++i) {
      for_each_pixel(shape, input, place.n, 2 * place.y + i / 2, 2 * place.x + i % 2,
                     [&](std::size_t w, float pixel) { sums[i] = multiply_add(weights[w], pixel, sums[i]); });
    }
    const auto [value, winner] = pool_window(sums[0], sums[1], sums[2], sums[3], bias[o]);
    output[at] = nearest<Number>(value);
    if (winners != nullptr) winners[at] = winner;
  });
}

template <typename Number>
PartialSums ConvReluPoolBackward<Number>::sums(const ConvPoolShape& shape) {
  return {parts_of(shape), shape.weight_size() + shape.channels};
}

template <typename Number>
void ConvReluPoolBackward<Number>::run() const {
  if (shape.output_size() == 0) return;
  check(*this);
  PartialSumsOnCpu gradients(sums(shape));
  const WindowBands bands = backward_bands(shape);
  const std::size_t parts = parts_of(shape);
  for_each_pooled(shape.pool(), [&](const WindowPlace& place, std::size_t o, std::size_t at) {
    const std::size_t winner = winners[at];
    if (winner >= no_winner) return;
    const auto gradient = static_cast<double>(widen(output_gradient[at]));
    const std::size_t band = place.n * bands.count + place.y / bands.rows;
    const std::size_t part = band % parts;
    for_each_pixel(shape, input, place.n, 2 * place.y + winner / 2, 2 * place.x + winner % 2,
                   [&](std::size_t w, float pixel) {
                     gradients.add(part, w * shape.channels + o, gradient * static_cast<double>(pixel));
                   });
    gradients.add(part, shape.weight_size() + o, gradient);
  });
  gradients.write(partial_sums);
}

template <typename Number>
double ConvReluPool<Number>::bytes() const {
  const std::size_t result_bytes = sizeof(Number) + (winners != nullptr ? sizeof(std::uint8_t) : 0);
  return static_cast<double>(shape.input_size() * sizeof(Number) + shape.output_size() * result_bytes +
                             (shape.weight_size() + shape.channels) * sizeof(float));
}

template <typename Number>
double ConvReluPool<Number>::flops() const {
  // A window has four sums of products, and then what BiasReluMaxPool counts.
  return static_cast<double>(shape.output_size() * (8 * shape.weights_of_one() + 8));
}

template <typename Number>
double ConvReluPoolBackward<Number>::bytes() const {
  return static_cast<double>(shape.input_size() * sizeof(Number) +
                             shape.output_size() * (sizeof(Number) + sizeof(std::uint8_t)) +
                             sums(shape).size() * sizeof(float));
}

template <typename Number>
double ConvReluPoolBackward<Number>::flops() const {
  return static_cast<double>(shape.output_size() * (2 * shape.weights_of_one() + 1));
}

template struct ConvReluPool<float>;
template struct ConvReluPool<Bf16>;
template struct ConvReluPoolBackward<float>;
template struct ConvReluPoolBackward<Bf16>;
template void check(const ConvReluPool<float>&);
template void check(const ConvReluPool<Bf16>&);
template void check(const ConvReluPoolBackward<float>&);
template void check(const ConvReluPoolBackward<Bf16>&);

}  // namespace tardigrad
