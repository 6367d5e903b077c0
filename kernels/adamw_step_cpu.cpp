#include "kernels/adamw_step.h"

#include <cmath>

#include "kernels/adamw_step_math.h"
#include "kernels/require.h"

namespace tardigrad {
namespace {

template <bool with_hand_over>
void step_all(std::size_t dimension, AdamWWeights weights, float scale, const float* __restrict direction,
              float* __restrict first, float* __restrict second, float* __restrict model,
              float* __restrict hand_over) {
  for (std::size_t i = 0; i < dimension; ++i) {
    float m = first[i];
    float v = second[i];
    float x = model[i];
    adamw_element(weights, scale, direction[i], m, v, x);
    first[i] = m;
    second[i] = v;
    model[i] = x;
    if constexpr (with_hand_over) hand_over[i] = x;
  }
}

}  // namespace

AdamWWeights weights_of(const AdamWStep& step) {
  const auto k = static_cast<double>(step.step);
  const auto rounded = [](double value) { return static_cast<float>(value); };
  return {.toward = rounded(1 - step.beta1),
          .keep = rounded(step.beta2),
          .add = rounded(1 - step.beta2),
          .root_correction = rounded(std::sqrt(1 - std::pow(step.beta2, k))),
          .epsilon = rounded(step.epsilon),
          .shrink = rounded(1 - step.step_size * step.weight_decay),
          .step = rounded(step.step_size / (1 - std::pow(step.beta1, k)))};
}

void check(const AdamWStep& step) {
  require<AdamWStep>(step.direction != nullptr, "direction is null");
  require<AdamWStep>(step.first_moment != nullptr && step.second_moment != nullptr, "a moment is null");
  require<AdamWStep>(step.model != nullptr, "model is null");
  require<AdamWStep>(step.step > 0, "step 0, expected 1 or more");
}

void AdamWStep::run() const {
  if (dimension == 0) return;
  check(*this);
  visit_switches(*this, [&](auto with_hand_over) {
    step_all<with_hand_over>(dimension, weights_of(*this), scale != nullptr ? *scale : 1, direction,
                             first_moment, second_moment, model, hand_over);
  });
}

double AdamWStep::bytes() const {
  const int vectors = 7 + (hand_over != nullptr ? 1 : 0);
  return static_cast<double>(dimension) * vectors * sizeof(float);
}

double AdamWStep::flops() const { return 14.0 * static_cast<double>(dimension); }

}  // namespace tardigrad
