#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace tardigrad {

/// Keeps the ages of the rows of a gradient table, the data delay: k − the version of the newest gradient of
/// that worker that the table holds, at the model's version k. Rows without a gradient yet have none. A
/// gradient costs O(log n), the ages O(1).
class RowAges {
 public:
  struct Ages {
    std::uint64_t max = 0;
    double mean = 0;
  };

  explicit RowAges(std::size_t workers)
      : first_leaf_(std::bit_ceil(workers)), oldest_(2 * first_leaf_, none) {}

  void fold(std::size_t worker, std::uint64_t version) {
    std::size_t node = first_leaf_ + worker;
    if (oldest_[node] == none) {
      ++filled_;
    } else {
      version_sum_ -= oldest_[node];
    }
    version_sum_ += version;
    oldest_[node] = version;
    for (node /= 2; node > 0; node /= 2) oldest_[node] = std::min(oldest_[2 * node], oldest_[2 * node + 1]);
  }

  bool empty() const { return filled_ == 0; }

  /// Returns the ages at a version. At least one row has a gradient.
  Ages at(std::uint64_t version) const {
    return {version - oldest_[1],
            static_cast<double>(version) - static_cast<double>(version_sum_) / static_cast<double>(filled_)};
  }

 private:
  static constexpr std::uint64_t none = std::numeric_limits<std::uint64_t>::max();

  std::size_t first_leaf_;
  std::vector<std::uint64_t> oldest_;  // a tree: each node has the smaller version of its two children
  std::uint64_t filled_ = 0;
  std::uint64_t version_sum_ = 0;
};

}  // namespace tardigrad
