#pragma once

#include <cstddef>
#include <utility>
#include <vector>

namespace tardigrad {

/// Is a queue, first in, first out, whose memory is one array: small where it stays short, as almost all do.
/// Nothing may be taken out of an empty one.
template <class T>
class Fifo {
 public:
  bool empty() const { return head_ == items_.size(); }
  std::size_t size() const { return items_.size() - head_; }
  T& front() { return items_[head_]; }
  const T& front() const { return items_[head_]; }

  /// Calls visit(item) for all items, the first first.
  template <class Visit>
  void for_each(const Visit& visit) const {
    for (std::size_t i = head_; i < items_.size(); ++i) visit(items_[i]);
  }

  void push(T item) {
    if (head_ > 16 && 2 * head_ > items_.size()) {
      items_.erase(items_.begin(), items_.begin() + static_cast<std::ptrdiff_t>(head_));
      head_ = 0;
    }
    items_.push_back(std::move(item));
  }

  /// Takes out the newest item.
  T pop_back() {
    T last = std::move(items_.back());
    items_.pop_back();
    if (empty()) clear();
    return last;
  }

  void clear() {
    items_.clear();
    head_ = 0;
  }

  T pop() {
    T first = std::move(items_[head_++]);
    if (empty()) clear();
    return first;
  }

 private:
  std::vector<T> items_;
  std::size_t head_ = 0;
};

}  // namespace tardigrad
