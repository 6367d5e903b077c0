#include "runtime/events/stopwatch.h"

#include <algorithm>
#include <atomic>

namespace tardigrad {

void Stopwatch::resume() {
  const std::lock_guard lock(mutex_);
  if (running_) return;
  running_ = true;
  resumed_at_ = SteadyClock::now();
  paused_ += resumed_at_ - paused_at_;
  show_locked();
  changed_.notify_all();
}

void Stopwatch::pause() {
  const std::lock_guard lock(mutex_);
  if (!running_) return;
  before_s_ = elapsed_s_locked();
  running_ = false;
  paused_at_ = SteadyClock::now();
  show_locked();
  changed_.notify_all();
}

void Stopwatch::set_elapsed_s(double elapsed_s) {
  const std::lock_guard lock(mutex_);
  before_s_ = elapsed_s;
}

void Stopwatch::show_pauses(PauseState* state) {
  const std::lock_guard lock(mutex_);
  shown_ = state;
  show_locked();
}

/// A device that sees the watch run also sees the pause before that.
void Stopwatch::show_locked() {
  if (!shown_) return;
  const auto paused_ns = std::chrono::nanoseconds(paused_).count();
  std::atomic_ref(shown_->paused_ns).store(static_cast<std::uint64_t>(paused_ns), std::memory_order_release);
  std::atomic_ref(shown_->paused).store(running_ ? 0 : 1, std::memory_order_release);
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
  // Longer times, of a worker that never comes back, don't fit into the clock's own type.
  constexpr double longest_sleep_s = 3600;
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    const double left_s = time_s - elapsed_s_locked();
    if (left_s <= 0) return;
    const bool was_running = running_;
    const auto changed = [&] { return running_ != was_running; };
    if (was_running) {
      const std::chrono::duration<double> sleep(std::min(left_s, longest_sleep_s));
      changed_.wait_for(lock, stop, sleep, changed);
    } else {
      changed_.wait(lock, stop, changed);
    }
  }
}

}  // namespace tardigrad
