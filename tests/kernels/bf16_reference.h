#pragma once

#include <algorithm>
#include <cmath>

namespace tardigrad::testing {

/// The nearest number of format bf16, worked out by arithmetic instead of bits. NaN to NaN.
inline float nearest_bf16(float value) {
  if (!std::isfinite(value)) return value;
  constexpr int precision = 8;             // bits of a number, the leading one among them
  constexpr int smallest_exponent = -125;  // of a normal number, as frexp counts
  int exponent = 0;
  static_cast<void>(std::frexp(value, &exponent));
  const double step = std::ldexp(1.0, std::max(exponent, smallest_exponent) - precision);
  return static_cast<float>(std::nearbyint(static_cast<double>(value) / step) * step);  // half to even
}

}  // namespace tardigrad::testing
