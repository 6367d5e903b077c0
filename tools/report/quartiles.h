#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

namespace tardigrad {

/// Holds the middle of a sample, and the middle half around it.
struct Quartiles {
  double lower = std::numeric_limits<double>::quiet_NaN();
  double median = std::numeric_limits<double>::quiet_NaN();
  double upper = std::numeric_limits<double>::quiet_NaN();
};

/// Returns the quartiles of a sample, linear between its values (the default of NumPy and R), and NaN for an
/// empty one. Values may be infinite, which is how what never happened is counted: a quartile between a
/// finite value and an infinite one is infinite.
inline Quartiles quartiles(std::vector<double> values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  const auto at = [&](double share) {
    const double position = share * static_cast<double>(values.size() - 1);
    const auto below = static_cast<std::size_t>(position);
    const double fraction = position - std::floor(position);
    // Tested for because 0·∞ is no number, and because the weights of equal values might round.
    if (fraction == 0 || values[below] == values[below + 1]) return values[below];
    return (1 - fraction) * values[below] + fraction * values[below + 1];
  };
  return {at(0.25), at(0.5), at(0.75)};
}

}  // namespace tardigrad
