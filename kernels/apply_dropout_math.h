#pragma once

#include "kernels/apply_dropout.h"
#include "kernels/dropout_mask.h"
#include "kernels/require.h"

namespace tardigrad {

/// Holds what every element of an ApplyDropout has in common.
template <typename Number>
struct DropoutPlan {
  ImageBatch shape;
  DropoutMask mask;
  float scale;
  bool drops;

  /// `start` is the one to which the operation points.
  TARDIGRAD_HOST_DEVICE DropoutPlan(const ImageBatch& of, double probability, const std::uint64_t* start)
      : shape(of),
        mask(start != nullptr ? *start : 0, probability),
        scale(static_cast<float>(1 / (1 - probability))),
        drops(start != nullptr) {}

  TARDIGRAD_HOST_DEVICE Number operator()(std::size_t place, Number value) const {
    if (!drops) return value;
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
