#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>

#include "runtime/device/backend.h"

namespace tardigrad::cpu {

/// Holds what went wrong first on a stream. Streams that waited for it are handed it along.
class Failure {
 public:
  Failure(Device device, std::string message) : device_(device), message_(std::move(message)) {}
  [[noreturn]] void raise() const { throw DeviceError(device_, message_); }

 private:
  Device device_;
  std::string message_;
};

/// Is one recording of an event. The recording stream's thread reaches it once.
///
/// reach() publishes the failure and the time by the release store of `reached_`; readers see them after an
/// acquire load that finds it set.
class Point {
 public:
  void reach(std::shared_ptr<const Failure> failure) {
    failure_ = std::move(failure);
    time_ = std::chrono::steady_clock::now();
    reached_.store(1, std::memory_order_release);
    reached_.notify_all();
  }

  bool reached() const { return reached_.load(std::memory_order_acquire) != 0; }
  void wait() const { reached_.wait(0, std::memory_order_acquire); }

  /// Returns the failure. It may be asked, as the time, only once the point is reached.
  const std::shared_ptr<const Failure>& failure() const { return failure_; }
  std::chrono::steady_clock::time_point time() const { return time_; }

 private:
  std::atomic<int> reached_{0};
  std::shared_ptr<const Failure> failure_;
  std::chrono::steady_clock::time_point time_;
};

class CpuEvent final : public detail::EventImpl {
 public:
  using EventImpl::EventImpl;

  bool complete() const override {
    const auto latest = point();
    return !latest || latest->reached();
  }

  void synchronize() const override {
    const auto latest = point();
    if (!latest) return;
    latest->wait();
    if (latest->failure()) latest->failure()->raise();
  }

  void take_point(const EventImpl& other) override { set_point(static_cast<const CpuEvent&>(other).point()); }

  double seconds_since(const EventImpl& start) const override {
    const auto from = static_cast<const CpuEvent&>(start).point();
    const auto to = point();
    if (!from || !to) throw std::logic_error("no time between events that were never recorded");
    return std::chrono::duration<double>(to->time() - from->time()).count();
  }

  /// Returns the latest recording, null before the first.
  std::shared_ptr<Point> point() const {
    const std::lock_guard lock(mutex_);
    return point_;
  }

  void set_point(std::shared_ptr<Point> point) {
    const std::lock_guard lock(mutex_);
    point_ = std::move(point);
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<Point> point_;
};

}  // namespace tardigrad::cpu
