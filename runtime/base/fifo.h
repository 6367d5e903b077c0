#pragma once

#include <cstddef>
#include <utility>
#include <vector>

namespace tardigrad {

/// Is a queue, first in, first out, that is small where it stays short, as almost all do: its first item lies
/// in it, the others in one array. Nothing may be taken out of an empty one.
template <typename T>
class Fifo {
 public:
  bool empty() const { return !any_; }
  std::size_t size() const { return (any_ ? 1 : 0) + others_.size() - head_; }
  T& front() { return first_; }
  const T& front() const { return first_; }

  /// Calls visit(item) for all, the first first.
  template <typename Visit>
  void for_each(const Visit& visit) const {
    if (any_) visit(first_);
    for (std::size_t i = head_; i < others_.size(); ++i) visit(others_[i]);
  }

  void push(T item) { push_new() = std::move(item); }

  /// Adds an item for its owner to fill in, whatever it holds.
  T& push_new() {
    if (!std::exchange(any_, true)) return first_;
    if (head_ > 16 && 2 * head_ > others_.size()) {
      others_.erase(others_.begin(), others_.begin() + static_cast<std::ptrdiff_t>(head_));
      head_ = 0;
    }
    return others_.emplace_back();
  }

  T pop() {
    T first = std::move(first_);
    drop();
    return first;
  }

  /// Takes the first out without a look at it.
  void drop() {
    any_ = head_ < others_.size();
    if (!any_) return;
    first_ = std::move(others_[head_++]);
    if (head_ == others_.size()) clear_others();
  }

  /// Takes the newest out.
  T pop_back() {
    if (head_ == others_.size()) {
      any_ = false;
      return std::move(first_);
    }
    T last = std::move(others_.back());
    others_.pop_back();
    if (head_ == others_.size()) clear_others();
    return last;
  }

  void clear() {
    any_ = false;
    clear_others();
  }

 private:
  void clear_others() {
    others_.clear();
    head_ = 0;
  }

  T first_{};
  bool any_ = false;
  std::vector<T> others_;  // from head_ on
  std::size_t head_ = 0;
};

}  // namespace tardigrad
