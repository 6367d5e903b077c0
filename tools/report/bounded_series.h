#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tardigrad {

/// Is a series of at most `capacity` points, however many are added: when it is full, neighbours are merged,
/// and from then on each point stands for twice as many. A Point has `void merge(const Point& later)`.
template <typename Point>
class BoundedSeries {
 public:
  /// Makes an empty series. `capacity` is even.
  explicit BoundedSeries(std::size_t capacity) : capacity_(capacity) {}

  void add(const Point& point) {
    if (in_last_ == stride_ && points_.size() == capacity_) halve();
    if (points_.empty() || in_last_ == stride_) {
      points_.push_back(point);
      in_last_ = 1;
    } else {
      points_.back().merge(point);
      ++in_last_;
    }
  }

  const std::vector<Point>& points() const { return points_; }

  /// Returns how many of what was added a point stands for. The last one may still be short of that.
  std::uint64_t stride() const { return stride_; }

 private:
  void halve() {
    for (std::size_t i = 0; i < points_.size() / 2; ++i) {
      points_[i] = points_[2 * i];
      points_[i].merge(points_[2 * i + 1]);
    }
    points_.resize(points_.size() / 2);
    stride_ *= 2;
    in_last_ = stride_;
  }

  std::size_t capacity_;
  std::vector<Point> points_;
  std::uint64_t stride_ = 1;
  std::uint64_t in_last_ = 0;
};

}  // namespace tardigrad
