#pragma once

#include <cstddef>
#include <utility>
#include <vector>

namespace tardigrad::data {

/// Says how many examples the minibatches of each worker have: one number for all workers, or a list with one
/// for each. All are 1 or more.
class BatchSizes {
 public:
  /// Gives every worker minibatches of that size. It converts, as a number alone says it all.
  BatchSizes(int of_all) : sizes_{of_all} {}  // NOLINT(google-explicit-constructor)
  /// Takes one size a worker, at least one.
  explicit BatchSizes(std::vector<int> of_workers) : sizes_(std::move(of_workers)) {}

  /// Tells whether the sizes hold for that many workers.
  bool good_for(int workers) const { return sizes_.size() == 1 || std::cmp_equal(sizes_.size(), workers); }

  std::size_t of(int worker) const {
    return static_cast<std::size_t>(sizes_.size() == 1 ? sizes_.front()
                                                       : sizes_[static_cast<std::size_t>(worker)]);
  }

  /// Returns them as they were given.
  const std::vector<int>& sizes() const { return sizes_; }

  bool operator==(const BatchSizes&) const = default;

 private:
  std::vector<int> sizes_;
};

}  // namespace tardigrad::data
