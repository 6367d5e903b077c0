#pragma once

#include <cstdint>
#include <map>

#include "tools/tensorboard/event.pb.h"

namespace tardigrad {

/// Counts values of at least 0, in buckets of which eight make a power of two.
class ValueHistogram {
 public:
  void add(double value);
  double count() const { return static_cast<double>(count_); }
  double sum() const { return sum_; }
  void write_to(tensorboard::HistogramProto& histogram) const;

 private:
  std::map<int, std::uint64_t> buckets_;  // by eight times the logarithm of their upper limit
  std::uint64_t count_ = 0;
  double min_ = 0;
  double max_ = 0;
  double sum_ = 0;
  double sum_squares_ = 0;
};

}  // namespace tardigrad
