#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "kernels/bf16.h"
#include "kernels/softmax_cross_entropy.h"

namespace tardigrad {

/// Holds the largest logit so far, and its place. Both start below everything.
struct Largest {
  float value = -INFINITY;
  std::uint32_t place = 0xFFFFFFFFU;

  /// Takes the larger of the two, of equals the first.
  TARDIGRAD_HOST_DEVICE void meet(const Largest& other) {
    if (other.value > value || (other.value == value && other.place < place)) *this = other;
  }
};

/// Returns a logit as Largest wants it. A NaN is never the largest, except in the first place, as
/// std::max_element has it; there it counts as infinite. The loss is NaN either way.
TARDIGRAD_HOST_DEVICE inline Largest largest_of(float logit, std::uint32_t place) {
  const bool is_nan = logit != logit;
  if (!is_nan) return {logit, place};
  return place == 0 ? Largest{INFINITY, 0} : Largest{};
}

TARDIGRAD_HOST_DEVICE inline float exponential(float logit, float largest) { return expf(logit - largest); }

/// Returns log Σ exp(logits) − label_logit out of the sum of the shifted exponentials.
TARDIGRAD_HOST_DEVICE inline float loss_of(double sum, float label_logit, float largest) {
  return static_cast<float>(log(sum) - static_cast<double>(label_logit - largest));
}

/// Returns what turns a shifted exponential into its share of the gradient.
TARDIGRAD_HOST_DEVICE inline float gradient_scale(double sum, std::size_t batch) {
  return static_cast<float>(1 / (sum * static_cast<double>(batch)));
}

TARDIGRAD_HOST_DEVICE inline float gradient_of(float exponential, float scale, bool is_label,
                                               std::size_t batch) {
  return exponential * scale - (is_label ? 1 / static_cast<float>(batch) : 0.0F);
}

/// Throws std::logic_error as softmax_cross_entropy.h says.
template <typename Number>
void check(const SoftmaxCrossEntropy<Number>& layer);

}  // namespace tardigrad
