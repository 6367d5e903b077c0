#include "kernels/softmax_cross_entropy.h"

#include <vector>

#include "kernels/lane_sum.h"
#include "kernels/require.h"
#include "kernels/softmax_cross_entropy_math.h"

namespace tardigrad {
namespace {

/// One example; returns its loss.
template <typename Number>
float compute_row(const SoftmaxCrossEntropy<Number>& layer, std::size_t n) {
  const Number* const logits = layer.logits + n * layer.classes;
  const auto label = static_cast<std::size_t>(layer.labels[n]);
  Largest largest;
  for (std::size_t k = 0; k < layer.classes; ++k) {
    largest.meet(largest_of(widen(logits[k]), static_cast<std::uint32_t>(k)));
  }
  double sum = 0;
  for (std::size_t k = 0; k < layer.classes; ++k) {
    sum += static_cast<double>(exponential(widen(logits[k]), largest.value));
  }
  const float loss = loss_of(sum, widen(logits[label]), largest.value);
  if (layer.hits != nullptr) layer.hits[n] = largest.place == label ? 1 : 0;
  if (layer.gradient != nullptr) {
    Number* const gradient = layer.gradient + n * layer.classes;
    const float scale = gradient_scale(sum, layer.batch);
    for (std::size_t k = 0; k < layer.classes; ++k) {
      gradient[k] = nearest<Number>(
          gradient_of(exponential(widen(logits[k]), largest.value), scale, k == label, layer.batch));
    }
  }
  return loss;
}

}  // namespace

template <typename Number>
void check(const SoftmaxCrossEntropy<Number>& layer) {
  using Layer = SoftmaxCrossEntropy<Number>;
  require<Layer>(layer.classes > 0, "no classes");
  require<Layer>(layer.classes >> 32 == 0, "too many classes, expected fewer than 2^32");
  require<Layer>(layer.logits != nullptr, "logits is null");
  require<Layer>(layer.labels != nullptr, "labels is null");
}

template <typename Number>
void SoftmaxCrossEntropy<Number>::run() const {
  if (batch == 0) return;
  check(*this);
  std::vector<float> each(losses == nullptr ? minibatches * batch : 0);
  float* const to = losses != nullptr ? losses : each.data();
  for (std::size_t n = 0; n < minibatches * batch; ++n) to[n] = compute_row(*this, n);
  if (loss == nullptr) return;
  for (std::size_t m = 0; m < minibatches; ++m) {
    const double sum = lane_sum<warp_lanes>(batch, [&](double partial, std::size_t n) {
      return partial + static_cast<double>(to[m * batch + n]);
    });
    loss[m] = static_cast<float>(sum / static_cast<double>(batch));
  }
}

template <typename Number>
double SoftmaxCrossEntropy<Number>::bytes() const {
  const std::size_t per_logit = sizeof(Number) * (gradient != nullptr ? 2 : 1);
  const std::size_t per_example = sizeof(std::int32_t) + (losses != nullptr ? sizeof(float) : 0) +
                                  (hits != nullptr ? sizeof(std::uint8_t) : 0);
  const std::size_t per_minibatch =
      batch * (classes * per_logit + per_example) + (loss != nullptr ? sizeof(float) : 0);
  return static_cast<double>(minibatches * per_minibatch);
}

template <typename Number>
double SoftmaxCrossEntropy<Number>::flops() const {
  // The comparison, the shift, the exponential (as one) and the sum; the scale and the label's part.
  return static_cast<double>(minibatches * batch * classes) * (gradient != nullptr ? 6 : 4);
}

template struct SoftmaxCrossEntropy<float>;
template struct SoftmaxCrossEntropy<Bf16>;
template void check(const SoftmaxCrossEntropy<float>&);
template void check(const SoftmaxCrossEntropy<Bf16>&);

}  // namespace tardigrad
