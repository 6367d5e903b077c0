#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace tardigrad {

/// Knows, on rank 0, which models another rank keeps, and in which slot each: a model is sent to a rank once,
/// however many of its workers begin with it. A slot is written anew when the answers to all jobs at its
/// model have come.
class RankModels {
 public:
  struct Place {
    std::uint32_t slot;
    bool fresh;  ///< the model is not there yet
  };

  /// Returns where the model of a version is, or is to be, for one more job.
  Place take(std::uint64_t version) {
    const bool fresh = !newest_ || slots_[*newest_].version != version;
    if (fresh) {
      if (newest_) release(*newest_);
      newest_ = unused();
      slots_[*newest_] = {version, 1};
    }
    ++slots_[*newest_].users;
    return {*newest_, fresh};
  }

  /// Takes note that a job at the model of a slot is over.
  void release(std::uint32_t slot) {
    if (--slots_[slot].users == 0) unused_.push_back(slot);
  }

 private:
  struct Slot {
    std::uint64_t version = 0;
    int users = 0;  // jobs, and one for being the newest
  };

  std::uint32_t unused() {
    if (unused_.empty()) {
      slots_.emplace_back();
      return static_cast<std::uint32_t>(slots_.size() - 1);
    }
    const std::uint32_t slot = unused_.back();
    unused_.pop_back();
    return slot;
  }

  std::vector<Slot> slots_;
  std::vector<std::uint32_t> unused_;
  std::optional<std::uint32_t> newest_;
};

}  // namespace tardigrad
