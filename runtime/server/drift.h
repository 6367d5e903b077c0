#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <span>

namespace tardigrad {

/// Adds up what a resum found (MeanOfRows::drift), chunk by chunk, in the order of the vector.
class Drift {
 public:
  /// Adds pairs of sums [chunks, 2].
  void add(std::span<const double> sums) {
    for (std::size_t i = 0; i + 1 < sums.size(); i += 2) {
      off_squares_ += sums[i];
      exact_squares_ += sums[i + 1];
    }
  }

  /// Returns ‖ū − mean of the rows‖/‖mean of the rows‖.
  double relative() const { return exact_squares_ > 0 ? std::sqrt(off_squares_ / exact_squares_) : 0; }

  /// Returns the larger of this and the largest so far, if there is one.
  double or_larger(std::optional<double> largest) const { return std::max(largest.value_or(0), relative()); }

 private:
  double off_squares_ = 0;
  double exact_squares_ = 0;
};

}  // namespace tardigrad
