#pragma once

#include <cmath>

namespace tardigrad::models {

/// Holds the mean of some numbers, and the reciprocal of their standard deviation.
template <typename T>
struct Standardisation {
  T mean = 0;
  T reciprocal_deviation = 0;

  T operator()(T value) const { return (value - mean) * reciprocal_deviation; }
};

/// Returns that of `count` numbers, of whose variance, the biased one, `epsilon` is added to as PyTorch's
/// norms do. It takes two passes, so that nothing cancels.
template <typename T>
Standardisation<T> standardise(const T* values, int count, T epsilon) {
  T sum = 0;
  for (int i = 0; i < count; ++i) sum += values[i];
  const T mean = sum / static_cast<T>(count);
  T squares = 0;
  for (int i = 0; i < count; ++i) squares += (values[i] - mean) * (values[i] - mean);
  return {mean, 1 / std::sqrt(squares / static_cast<T>(count) + epsilon)};
}

}  // namespace tardigrad::models
