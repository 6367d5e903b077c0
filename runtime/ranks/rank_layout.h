#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace tardigrad {

/// Says which rank computes the gradients of which worker.
class RankLayout {
 public:
  /// Spreads workers over the ranks behind the `without` first ones, which take turns; with `counts`, one for
  /// each of them, for as long as a rank has room.
  RankLayout(int workers, int ranks, const std::vector<int>& counts = {}, int without = 1) {
    const int most = counts.empty() ? workers : std::ranges::max(counts);
    for (int round = 0; round < most; ++round) {
      for (int rank = without; rank < ranks && static_cast<int>(of_worker_.size()) < workers; ++rank) {
        const bool has_room = counts.empty() || round < counts[static_cast<std::size_t>(rank - without)];
        if (has_room) of_worker_.push_back(rank);
      }
    }
  }

  /// Returns the rank of each worker.
  const std::vector<int>& of_workers() const { return of_worker_; }

  int rank_of(int worker) const { return of_worker_[static_cast<std::size_t>(worker)]; }

  std::vector<int> workers_of(int rank) const {
    std::vector<int> there;
    for (std::size_t i = 0; i < of_worker_.size(); ++i) {
      if (of_worker_[i] == rank) there.push_back(static_cast<int>(i));
    }
    return there;
  }

 private:
  std::vector<int> of_worker_;
};

}  // namespace tardigrad
