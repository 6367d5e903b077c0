#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "runtime/checkpoint/snapshot.h"

namespace tardigrad {

/// Keeps the pieces of a shard's snapshot until they are sent to rank 0. Those of a GPU are copied by its
/// stream, and come on a thread of that.
class ShardSnapshot final : public Snapshot {
 public:
  /// Makes a snapshot of vectors [dimension] that are announced behind so many bytes. The pool outlives it.
  ShardSnapshot(std::size_t dimension, StagingPool& pool, std::uint64_t announced_bytes)
      : Snapshot(dimension, pool, announced_bytes) {}

  /// Returns those that are complete, each once.
  std::vector<Piece> take_complete() {
    const std::lock_guard lock(mutex_);
    not_taken_ -= complete_.size();
    return std::exchange(complete_, {});
  }

  /// Tells whether there are any that have not been taken.
  bool has_more() const {
    const std::lock_guard lock(mutex_);
    return not_taken_ > 0;
  }

 private:
  std::shared_ptr<StagingPool::Buffer> take_buffer() override {
    const std::lock_guard lock(mutex_);
    ++not_taken_;
    return Snapshot::take_buffer();
  }

  void submit(Piece piece) override {
    const std::lock_guard lock(mutex_);
    complete_.push_back(std::move(piece));
  }

  mutable std::mutex mutex_;
  std::size_t not_taken_ = 0;
  std::vector<Piece> complete_;
};

}  // namespace tardigrad
