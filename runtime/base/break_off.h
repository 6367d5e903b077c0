#pragma once

#include <chrono>
#include <exception>
#include <stop_token>
#include <utility>

namespace tardigrad {

/// Reports that there is no result, because its computing was broken off.
class BrokenOff : public std::exception {
 public:
  const char* what() const noexcept override { return "broken off"; }
};

/// Says when long computing that has a result only in the end is to be given up: when a stop is requested, or
/// at a time. Whoever computes asks every tenth of a second or more often. Any thread may ask.
class BreakOff {
 public:
  using Clock = std::chrono::steady_clock;

  /// Never breaks off.
  BreakOff() = default;
  explicit BreakOff(std::stop_token stop) : stop_(std::move(stop)) {}
  explicit BreakOff(Clock::time_point deadline) : deadline_(deadline) {}

  bool due() const {
    return stop_.stop_requested() || (deadline_ != Clock::time_point::max() && Clock::now() >= deadline_);
  }

  /// Throws BrokenOff if it is due.
  void check() const {
    if (due()) throw BrokenOff();
  }

 private:
  std::stop_token stop_;
  Clock::time_point deadline_ = Clock::time_point::max();
};

}  // namespace tardigrad
