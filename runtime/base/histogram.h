#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace tardigrad {

/// Counts whole numbers in little memory however large they get: exactly below 64, above in buckets no wider
/// than 1/32 of their values. Only buckets that hold something are kept. Adding costs a few nanoseconds.
class Histogram {
 public:
  void add(std::uint64_t value, std::uint64_t count = 1) {
    const std::size_t index = bucket_of(value);
    auto bucket = std::ranges::lower_bound(buckets_, index, {}, &Bucket::index);
    if (bucket == buckets_.end() || bucket->index != index) bucket = buckets_.insert(bucket, {index, 0});
    bucket->count += count;
    total_ += count;
    max_ = std::max(max_, value);
  }

  /// Takes note of the largest of the values, if it is known better than by those of their buckets.
  void note_max(std::uint64_t value) { max_ = std::max(max_, value); }

  std::uint64_t total() const { return total_; }
  std::uint64_t max() const { return max_; }  ///< exact; 0 without values

  /// Calls visit(first, count) for every bucket that holds something, in ascending order; `first` is the
  /// smallest value that belongs there.
  template <typename Visit>
  void for_each(const Visit& visit) const {
    for (const Bucket& bucket : buckets_) {
      if (bucket.count > 0) visit(first_of(bucket.index), bucket.count);
    }
  }

  /// Returns the smallest value of the bucket that holds the lower median, 0 without values.
  std::uint64_t median() const {
    std::uint64_t below = 0;
    for (const Bucket& bucket : buckets_) {
      below += bucket.count;
      if (2 * below >= total_) return first_of(bucket.index);
    }
    return 0;
  }

 private:
  static constexpr int exact_bits = 6;  // values below 2^6 have buckets of their own
  static constexpr std::size_t per_power = 1U << (exact_bits - 1);  // buckets between powers of two above

  struct Bucket {
    std::size_t index;
    std::uint64_t count;
  };

  static std::size_t bucket_of(std::uint64_t value) {
    const int shift = std::max(0, static_cast<int>(std::bit_width(value)) - exact_bits);
    return static_cast<std::size_t>(shift) * per_power + (value >> shift);
  }

  static std::uint64_t first_of(std::size_t bucket) {
    if (bucket < 2 * per_power) return bucket;
    const std::size_t shift = bucket / per_power - 1;
    return (bucket - shift * per_power) << shift;
  }

  std::vector<Bucket> buckets_;  // in ascending order
  std::uint64_t total_ = 0;
  std::uint64_t max_ = 0;
};

}  // namespace tardigrad
