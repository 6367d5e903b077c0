#include "kernels/bias_relu_max_pool_backward.h"

#include <algorithm>

#include "kernels/bias_relu_max_pool_backward_math.h"
#include "kernels/require.h"

namespace tardigrad {
namespace {

/// One channel of one window and of what `extent` adds to it. Returns what the bias gets.
template <typename Number>
double spread(Number gradient, std::uint8_t winner, unsigned rows, unsigned columns, const ImageStrides& in,
              Number* window) {
  for (unsigned row = 0; row < rows; ++row) {
    for (unsigned column = 0; column < columns; ++column) {
      window[row * in.row + column * in.pixel] = input_gradient_at(gradient, winner, row, column);
    }
  }
  return winner < no_winner ? static_cast<double>(widen(gradient)) : 0;
}

}  // namespace

template <typename Number>
void check(const BiasReluMaxPoolBackward<Number>& pool) {
  using Pool = BiasReluMaxPoolBackward<Number>;
  require<Pool>(pool.output_gradient != nullptr, "output_gradient is null");
  require<Pool>(pool.winners != nullptr, "winners is null");
  require<Pool>(pool.input_gradient != nullptr, "input_gradient is null");
  require<Pool>(pool.partial_sums != nullptr || pool.sums(pool.shape).size() == 0, "partial_sums is null");
  require<Pool>(countable(pool.shape), "too many windows, expected fewer than 2^32");
}

template <typename Number>
PartialSums BiasReluMaxPoolBackward<Number>::sums(const PoolShape& shape) {
  return {parts_of(shape).count, shape.channels};
}

template <typename Number>
void BiasReluMaxPoolBackward<Number>::run() const {
  if (shape.channels == 0) return;
  check(*this);
  const ImageStrides in = input_strides(shape);
  if (shape.windows() == 0) std::fill_n(input_gradient, shape.input_size(), Number{});
  PartialSumsOnCpu bias_sums(sums(shape));
  const ChannelParts parts = parts_of(shape);
  for_each_pooled(shape, [&](const WindowPlace& place, std::size_t c, std::size_t at) {
    const std::size_t window = (place.n * shape.output_height() + place.y) * shape.output_width() + place.x;
    bias_sums.add(
        window / parts.rows, c,
        spread(output_gradient[at], winners[at], extent(place.y, shape.height), extent(place.x, shape.width),
               in, input_gradient + place.input(in) + c * in.channel));
  });
  bias_sums.write(partial_sums);
}

template <typename Number>
double BiasReluMaxPoolBackward<Number>::bytes() const {
  return static_cast<double>(shape.output_size() * (sizeof(Number) + sizeof(std::uint8_t)) +
                             shape.input_size() * sizeof(Number) + sums(shape).size() * sizeof(float));
}

template <typename Number>
double BiasReluMaxPoolBackward<Number>::flops() const {
  return static_cast<double>(shape.output_size());
}

template struct BiasReluMaxPoolBackward<float>;
template struct BiasReluMaxPoolBackward<Bf16>;
template void check(const BiasReluMaxPoolBackward<float>&);
template void check(const BiasReluMaxPoolBackward<Bf16>&);

}  // namespace tardigrad
