#pragma once

#include "kernels/apply_dropout.h"
#include "kernels/dropout_mask.h"
#include "kernels/require.h"

namespace tardigrad {

/// Holds what the host knows of every element of an ApplyDropout.
struct DropoutPlan {
  ImageBatch shape;
  DropoutMask mask;  ///< But for where it starts.
  float scale;

  DropoutPlan(const ImageBatch& of, double probability)
      : shape(of), mask(0, probability), scale(static_cast<float>(1 / (1 - probability))) {}

  /// Returns the plan for the mask that starts there.
  TARDIGRAD_HOST_DEVICE DropoutPlan starting_at(std::uint64_t start) const {
    DropoutPlan other = *this;
    other.mask = mask.starting_at(start);
    return other;
  }

  template <typename Number>
  TARDIGRAD_HOST_DEVICE Number drop(std::size_t place, Number value) const {
    return mask.keeps(shape.number_of(place)) ? nearest<Number>(widen(value) * scale) : Number{};
  }
};

template <typename Number>
void check(const ApplyDropout<Number>& dropout) {
  using Operation = ApplyDropout<Number>;
  require<Operation>(dropout.input != nullptr, "input is null");
  require<Operation>(dropout.output != nullptr, "output is null");
  require<Operation>(dropout.shape.is_countable(), "too many elements, expected fewer than 2^32");
}

}  // namespace tardigrad
