#include "runtime/events/wall_events.h"

#include <algorithm>
#include <chrono>

namespace tardigrad {

double WallEvents::gradient_complete(int worker, std::optional<double> began) {
  double time = 0;
  {
    const std::lock_guard lock(mutex_);
    time = now();
    Event& event = arrivals_.emplace_back(Event{worker, Kind::end_of_job, time});
    if (began) event.compute_time = time - *began;
  }
  arrived_.notify_one();
  return time;
}

void WallEvents::wake() {
  {
    const std::lock_guard lock(mutex_);
    woken_ = true;
  }
  arrived_.notify_one();
}

std::optional<EventSource::Event> WallEvents::next(double deadline, const std::stop_token& stop) {
  constexpr double patience_s = 0.5;
  const double now_s = now();
  if (now_s - looked_after_s_ >= patience_s) {
    looked_after_s_ = now_s;
    return std::nullopt;
  }
  std::unique_lock lock(mutex_);
  const double until_s = std::min(deadline, changes_.time());
  await_arrival(lock, std::clamp(until_s - now_s, 0.0, patience_s), stop);
  if (stop.stop_requested()) return std::nullopt;
  if (change_comes_first()) {
    return changes_.time() <= deadline ? std::optional(changes_.take()) : std::nullopt;
  }
  if (arrivals_.empty() || arrivals_.front().time > deadline) return std::nullopt;
  const Event first = arrivals_.front();
  arrivals_.pop_front();
  return first;
}

/// Times of arrivals still to come are not before now: they are taken under the lock, too.
bool WallEvents::change_comes_first() const {
  return changes_.time() < never &&
         (arrivals_.empty() ? changes_.time() <= now() : changes_.time() < arrivals_.front().time);
}

void WallEvents::await_arrival(std::unique_lock<std::mutex>& lock, double wait_s,
                               const std::stop_token& stop) {
  const auto arrived = [this] { return !arrivals_.empty(); };
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::duration<double>(wait_s);
  if (!poll_) {
    const auto arrived_or_woken = [&] { return arrived() || woken_; };
    while (arrived_.wait_until(lock, stop, give_up, arrived_or_woken) && !arrived()) {
      woken_ = false;
      lock.unlock();
      look_();
      lock.lock();
    }
    return;
  }
  do {
    lock.unlock();
    poll_();
    lock.lock();
  } while (!arrived() && !stop.stop_requested() && std::chrono::steady_clock::now() < give_up);
}

}  // namespace tardigrad
