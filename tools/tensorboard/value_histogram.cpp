#include "tools/tensorboard/value_histogram.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace tardigrad {
namespace {

constexpr int buckets_a_power = 8;
constexpr int zero_bucket = std::numeric_limits<int>::min();

double limit_of(int bucket) {
  return bucket == zero_bucket ? 0 : std::exp2(static_cast<double>(bucket) / buckets_a_power);
}

}  // namespace

void ValueHistogram::add(double value) {
  const int bucket =
      value > 0 ? static_cast<int>(std::ceil(buckets_a_power * std::log2(value))) : zero_bucket;
  ++buckets_[bucket];
  min_ = count_ == 0 ? value : std::min(min_, value);
  max_ = std::max(max_, value);
  ++count_;
  sum_ += value;
  sum_squares_ += value * value;
}

/// A bucket begins at the limit of the one before, so an empty one goes before each that has a gap below it.
void ValueHistogram::write_to(tensorboard::HistogramProto& histogram) const {
  histogram.set_min(min_);
  histogram.set_max(max_);
  histogram.set_num(count());
  histogram.set_sum(sum_);
  histogram.set_sum_squares(sum_squares_);
  const auto add = [&](double limit, std::uint64_t count) {
    histogram.add_bucket_limit(limit);
    histogram.add_bucket(static_cast<double>(count));
  };
  for (int last = zero_bucket; const auto& [bucket, count] : buckets_) {
    if (bucket != zero_bucket && bucket - 1 != last) add(limit_of(bucket - 1), 0);
    add(limit_of(bucket), count);
    last = bucket;
  }
}

}  // namespace tardigrad
