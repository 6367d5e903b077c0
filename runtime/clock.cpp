#include "runtime/clock.h"

#include <algorithm>

namespace tardigrad {

void Stopwatch::resume() {
  const std::lock_guard lock(mutex_);
  if (running_) return;
  running_ = true;
  resumed_at_ = SteadyClock::now();
  changed_.notify_all();
}

void Stopwatch::pause() {
  const std::lock_guard lock(mutex_);
  if (!running_) return;
  before_s_ = elapsed_s_locked();
  running_ = false;
  changed_.notify_all();
}

bool Stopwatch::running() const {
  const std::lock_guard lock(mutex_);
  return running_;
}

double Stopwatch::elapsed_s() const {
  const std::lock_guard lock(mutex_);
  return elapsed_s_locked();
}

double Stopwatch::elapsed_s_locked() const {
  if (!running_) return before_s_;
  return before_s_ + std::chrono::duration<double>(SteadyClock::now() - resumed_at_).count();
}

void Stopwatch::sleep_until(double time_s, const std::stop_token& stop) const {
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    const double left_s = time_s - elapsed_s_locked();
    if (left_s <= 0) return;
    const bool was_running = running_;
    const auto changed = [&] { return running_ != was_running; };
    if (was_running) {
      changed_.wait_for(lock, stop, std::chrono::duration<double>(left_s), changed);
    } else {
      changed_.wait(lock, stop, changed);
    }
  }
}

void VirtualClock::start_job(int worker, std::uint64_t job) {
  ends_.emplace(now_ + delays_.duration(worker, job), worker);
}

std::optional<Clock::Arrived> VirtualClock::next(double deadline, const std::stop_token& stop) {
  if (stop.stop_requested()) return std::nullopt;
  if (ends_.empty() || ends_.top().first > deadline) {
    now_ = std::max(now_, deadline);
    return std::nullopt;
  }
  const auto [time, worker] = ends_.top();
  ends_.pop();
  now_ = time;
  return Arrived{worker, time};
}

void WallClock::gradient_complete(int worker) {
  {
    const std::lock_guard lock(mutex_);
    arrivals_.push_back({worker, now()});
  }
  arrived_.notify_one();
}

std::optional<Clock::Arrived> WallClock::next(double deadline, const std::stop_token& stop) {
  constexpr double patience_s = 0.5;
  std::unique_lock lock(mutex_);
  const double wait_s = std::clamp(deadline - now(), 0.0, patience_s);
  arrived_.wait_for(lock, stop, std::chrono::duration<double>(wait_s), [this] { return !arrivals_.empty(); });
  if (arrivals_.empty() || stop.stop_requested()) return std::nullopt;
  const Arrived first = arrivals_.front();
  if (first.time > deadline) return std::nullopt;
  arrivals_.pop_front();
  return first;
}

}  // namespace tardigrad
