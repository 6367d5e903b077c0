#include "kernels/bias_relu_max_pool.h"

#include "kernels/bias_relu_max_pool_math.h"
#include "kernels/require.h"

namespace tardigrad {
namespace {

/// One channel of one window.
template <typename Number>
void pool_at(const BiasReluMaxPool<Number>& pool, const ImageStrides& in, const Number* window,
             std::size_t channel, std::size_t output) {
  const auto [value, winner] = pool_window(widen(window[0]), widen(window[in.pixel]), widen(window[in.row]),
                                           widen(window[in.row + in.pixel]), pool.bias[channel]);
  pool.output[output] = nearest<Number>(value);
  if (pool.winners != nullptr) pool.winners[output] = winner;
}

}  // namespace

template <typename Number>
void check(const BiasReluMaxPool<Number>& pool) {
  using Pool = BiasReluMaxPool<Number>;
  require<Pool>(pool.input != nullptr, "input is null");
  require<Pool>(pool.bias != nullptr, "bias is null");
  require<Pool>(pool.output != nullptr, "output is null");
  require<Pool>(countable(pool.shape), "too many windows, expected fewer than 2^32");
}

template <typename Number>
void BiasReluMaxPool<Number>::run() const {
  if (shape.output_size() == 0) return;
  check(*this);
  const ImageStrides in = input_strides(shape);
  for_each_pooled(shape, [&](const WindowPlace& place, std::size_t c, std::size_t at) {
    pool_at(*this, in, input + place.input(in) + c * in.channel, c, at);
  });
}

template <typename Number>
double BiasReluMaxPool<Number>::bytes() const {
  const std::size_t result_bytes = sizeof(Number) + (winners != nullptr ? sizeof(std::uint8_t) : 0);
  return static_cast<double>(shape.output_size() * (4 * sizeof(Number) + result_bytes) +
                             shape.channels * sizeof(float));
}

template <typename Number>
double BiasReluMaxPool<Number>::flops() const {
  return 8 * static_cast<double>(shape.output_size());  // four sums, three maxima and the ReLU
}

template struct BiasReluMaxPool<float>;
template struct BiasReluMaxPool<Bf16>;
template void check(const BiasReluMaxPool<float>&);
template void check(const BiasReluMaxPool<Bf16>&);

}  // namespace tardigrad
