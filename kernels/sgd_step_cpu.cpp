#include "kernels/sgd_step.h"

#include "kernels/require.h"
#include "kernels/sgd_step_math.h"

namespace tardigrad {
namespace {

template <bool with_momentum, bool with_hand_over>
void step_all(std::size_t dimension, SgdWeights weights, float scale, const float* __restrict direction,
              float* __restrict momentum, float* __restrict model, float* __restrict hand_over) {
  for (std::size_t i = 0; i < dimension; ++i) {
    float m = with_momentum ? momentum[i] : 0;
    float x = model[i];
    step_element<with_momentum>(weights, scale, direction[i], m, x);
    if constexpr (with_momentum) momentum[i] = m;
    model[i] = x;
    if constexpr (with_hand_over) hand_over[i] = x;
  }
}

}  // namespace

void check(const SgdStep& step) {
  require<SgdStep>(step.direction != nullptr, "direction is null");
  require<SgdStep>(step.model != nullptr, "model is null");
  require<SgdStep>(step.momentum != nullptr || step.momentum_weight == 0,
                   "momentum is null, but its weight is not 0");
}

void SgdStep::run() const {
  if (dimension == 0) return;
  check(*this);
  const SgdWeights weights{step_size, momentum_weight, weight_decay};
  visit_switches(*this, [&](auto with_momentum, auto with_hand_over) {
    step_all<with_momentum, with_hand_over>(dimension, weights, scale != nullptr ? *scale : 1, direction,
                                            momentum, model, hand_over);
  });
}

double SgdStep::bytes() const {
  const int vectors = 3 + (momentum != nullptr ? 2 : 0) + (hand_over != nullptr ? 1 : 0);
  return static_cast<double>(dimension) * vectors * sizeof(float);
}

double SgdStep::flops() const { return static_cast<double>(dimension) * (momentum != nullptr ? 7 : 5); }

}  // namespace tardigrad
