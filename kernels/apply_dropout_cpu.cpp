#include "kernels/apply_dropout_math.h"

namespace tardigrad {

template <typename Number>
void ApplyDropout<Number>::run() const {
  if (shape.size() == 0) return;
  check(*this);
  const DropoutPlan plan = DropoutPlan(shape, probability).starting_at(start ? *start : 0);
  for (std::size_t i = 0; i < shape.size(); ++i) output[i] = start ? plan.drop(i, input[i]) : input[i];
}

template <typename Number>
double ApplyDropout<Number>::bytes() const {
  return static_cast<double>(2 * shape.size() * sizeof(Number));
}

template <typename Number>
double ApplyDropout<Number>::flops() const {
  return static_cast<double>(shape.size());
}

template struct ApplyDropout<float>;
template struct ApplyDropout<Bf16>;

}  // namespace tardigrad
