#include "runtime/events/clock.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <numeric>
#include <set>
#include <utility>

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

Clock::Arrived ScriptedChanges::take() {
  const EventScript::Change& change = changes_[next_++];
  const Clock::Arrived taken{change.worker, change.lost ? Clock::What::lost : Clock::What::back, time_};
  find_time();
  return taken;
}

std::vector<int> ScriptedChanges::skip_to(double time) {
  std::set<int> lost;
  while (time_ <= time && time_ < Clock::never) {
    const Clock::Arrived change = take();
    if (change.what == Clock::What::lost) {
      lost.insert(change.worker);
    } else {
      lost.erase(change.worker);
    }
  }
  return {lost.begin(), lost.end()};
}

VirtualClock::VirtualClock(const Delays& delays, const EventScript& speeds, int workers)
    : delays_(delays),
      speeds_(speeds),
      changes_(speeds),
      workers_(static_cast<std::size_t>(workers)),
      leaves_(static_cast<int>(std::bit_ceil(static_cast<unsigned>(workers)))),
      ends_(static_cast<std::size_t>(leaves_), never),
      winners_(2 * ends_.size()) {
  std::iota(winners_.begin() + leaves_, winners_.end(), 0);
  for (int worker = 0; worker < leaves_; ++worker) replay_matches(worker);
}

void VirtualClock::start_job(int worker, std::uint64_t job) {
  if (worker == over_) over_ = nobody;
  set_end(worker, speeds_.end_time(worker, now_, delays_.duration(worker, job)));
}

void VirtualClock::set_end(int worker, double time) {
  ends_[static_cast<std::size_t>(worker)] = time;
  replay_matches(worker);
}

/// On the way from the worker's leaf to the root. Of equals the left one wins, which has the lower index.
void VirtualClock::replay_matches(int worker) {
  const std::size_t leaf = static_cast<std::size_t>(leaves_) + static_cast<std::size_t>(worker);
  for (std::size_t node = leaf / 2; node > 0; node /= 2) {
    const int left = winners_[2 * node];
    const int right = winners_[2 * node + 1];
    winners_[node] =
        ends_[static_cast<std::size_t>(right)] < ends_[static_cast<std::size_t>(left)] ? right : left;
  }
}

void VirtualClock::forget_over() {
  if (over_ != nobody) set_end(std::exchange(over_, nobody), never);
}

void VirtualClock::visit_state(StateArchive& state, bool with_jobs) {
  forget_over();
  state.real("now", now_);
  if (!with_jobs) return;
  changes_.visit_state(state);
  std::vector<double> ends(ends_.begin(), ends_.begin() + static_cast<std::ptrdiff_t>(workers_));
  state.reals("ends", ends, workers_);
  if (!state.restoring()) return;
  for (std::size_t worker = 0; worker < workers_; ++worker) set_end(static_cast<int>(worker), ends[worker]);
}

/// The job that is over keeps its place in the tournament: mostly the worker's next one takes it before the
/// next arrival is asked for.
std::optional<Clock::Arrived> VirtualClock::next(double deadline, const std::stop_token& stop) {
  if (stop.stop_requested()) return std::nullopt;
  forget_over();
  const int worker = winners_[1];
  const double end = ends_[static_cast<std::size_t>(worker)];
  const double time = std::min(end, changes_.time());
  if (time > deadline || time == never) {
    if (deadline < never) now_ = std::max(now_, deadline);
    return std::nullopt;
  }
  now_ = time;
  if (time < end) return changes_.take();
  over_ = worker;
  return Arrived{worker, What::end_of_job, time};
}

void WallClock::gradient_complete(int worker) {
  {
    const std::lock_guard lock(mutex_);
    arrivals_.push_back({worker, What::end_of_job, now()});
  }
  arrived_.notify_one();
}

std::optional<Clock::Arrived> WallClock::next(double deadline, const std::stop_token& stop) {
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
  if (change_comes_first())
    return changes_.time() <= deadline ? std::optional(changes_.take()) : std::nullopt;
  if (arrivals_.empty() || arrivals_.front().time > deadline) return std::nullopt;
  const Arrived first = arrivals_.front();
  arrivals_.pop_front();
  return first;
}

/// Times of arrivals still to come are not before now: they are taken under the lock, too.
bool WallClock::change_comes_first() const {
  return changes_.time() < never &&
         (arrivals_.empty() ? changes_.time() <= now() : changes_.time() < arrivals_.front().time);
}

void WallClock::await_arrival(std::unique_lock<std::mutex>& lock, double wait_s,
                              const std::stop_token& stop) {
  const auto arrived = [this] { return !arrivals_.empty(); };
  if (!poll_) {
    arrived_.wait_for(lock, stop, std::chrono::duration<double>(wait_s), arrived);
    return;
  }
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::duration<double>(wait_s);
  do {
    lock.unlock();
    poll_();
    lock.lock();
  } while (!arrived() && !stop.stop_requested() && std::chrono::steady_clock::now() < give_up);
}

}  // namespace tardigrad
