#pragma once

#include <sys/prctl.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

namespace tardigrad {

/// Waits between looks for messages, none of which wakes whoever waits for it: gives way to other threads for
/// some microseconds, and then sleeps for a part of what it has waited. Several threads of a processor that
/// only give way would do so to each other, while one that has work to do gets no more of it than each of
/// them.
class Backoff {
 public:
  /// Lets this thread sleep for as short as it asks to; by default Linux adds 50 µs.
  Backoff() { prctl(PR_SET_TIMERSLACK, 1UL); }

  /// Is called behind each look; waits where that has found nothing.
  void after(bool found) {
    if (found) {
      waiting_ = false;
      return;
    }
    const auto now = Clock::now();
    if (!std::exchange(waiting_, true)) began_ = now;
    const auto waited = now - began_;
    if (waited < before_sleep) return std::this_thread::yield();
    std::this_thread::sleep_for(
        std::clamp<Clock::duration>(waited / part_of_wait, shortest_sleep, longest_sleep));
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::microseconds before_sleep{12};
  static constexpr int part_of_wait = 8;
  static constexpr std::chrono::microseconds shortest_sleep{5};
  static constexpr std::chrono::microseconds longest_sleep{200};

  bool waiting_ = false;
  Clock::time_point began_;
};

}  // namespace tardigrad
