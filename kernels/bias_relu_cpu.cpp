#include "kernels/bias_relu_math.h"
#include "kernels/lane_sum.h"

namespace tardigrad {

template <typename Number>
void BiasRelu<Number>::run() const {
  if (batch == 0 || outputs == 0) return;
  check(*this);
  for (std::size_t i = 0; i < batch * outputs; ++i) values[i] = bias_relu(values[i], bias[i % outputs], relu);
}

template <typename Number>
double BiasRelu<Number>::bytes() const {
  return static_cast<double>((2 * batch + 1) * outputs * sizeof(Number));
}

template <typename Number>
double BiasRelu<Number>::flops() const {
  return static_cast<double>(batch * outputs);
}

template <typename Number, typename Sum>
void BiasReluBackward<Number, Sum>::run() const {
  if (outputs == 0) return;
  check(*this);
  for (std::size_t output = 0; output < outputs; ++output) {
    const double sum = lane_sum<warp_lanes>(
        batch, [&](double partial, std::size_t n) { return partial + gate_gradient(*this, n, output); });
    bias_gradient[output] = nearest<Sum>(static_cast<float>(sum));
  }
}

template <typename Number, typename Sum>
double BiasReluBackward<Number, Sum>::bytes() const {
  const std::size_t matrices = activation ? 3 : 1;
  return static_cast<double>(outputs * (matrices * batch * sizeof(Number) + sizeof(Sum)));
}

template <typename Number, typename Sum>
double BiasReluBackward<Number, Sum>::flops() const {
  return static_cast<double>(batch * outputs);
}

template struct BiasRelu<float>;
template struct BiasRelu<Bf16>;
template struct BiasReluBackward<float, float>;
template struct BiasReluBackward<Bf16, float>;
template struct BiasReluBackward<Bf16, Bf16>;

}  // namespace tardigrad
