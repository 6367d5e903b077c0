#include "tests/cuda_emulation/block.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "tests/cuda_emulation/device_functions.h"
#include "tests/cuda_emulation/fiber.h"

namespace tardigrad::emulation {
namespace {

constexpr unsigned nobody = ~0U;

/// The threads of one block at a time, on one system thread. A fiber runs emulated threads one after another;
/// one that stops in the middle stays with its thread, and another fiber goes on with the threads not yet
/// begun. So a kernel without barriers never leaves its first fiber.
class BlockRunner {
 public:
  void run(const std::function<void()>& kernel, unsigned size);
  unsigned barrier(bool predicate);
  const std::uint64_t* gather(unsigned mask, std::uint64_t value);
  void yield();
  unsigned size() const { return size_; }
  unsigned running() const { return running_; }

 private:
  struct Runner {
    std::unique_ptr<Fiber> fiber;
    unsigned thread = nobody;
  };

  /// Lanes of one warp that exchange values under one mask. Two sets of values: no lane can give for the
  /// round after the next before all have taken those of the next.
  struct Meeting {
    unsigned mask = 0;
    unsigned arrived = 0;  // lanes of the present round
    unsigned round = 0;
    std::uint64_t values[2][lanes_per_warp];
    unsigned waiting = 0;
    Runner* waiters[lanes_per_warp];
  };

  struct Warp {
    std::deque<Meeting> meetings;
    Meeting* latest = nullptr;
  };

  void loop(Runner& runner);
  Runner* next_runner();
  void go_on_with(Runner* next);
  void wait();
  void wake(std::vector<Runner*>& waiting);
  Runner& idle_runner();
  Meeting& meeting_of(unsigned mask);
  [[noreturn]] void report_divergence() const;

  std::deque<Runner> runners_;  // grows; references stay valid
  std::vector<Runner*> idle_;
  std::deque<Runner*> ready_;
  std::deque<Runner*> sleeping_;  // go on when nothing else can
  Runner* current_ = nullptr;

  const std::function<void()>* kernel_ = nullptr;
  unsigned size_ = 0;
  unsigned next_ = 0;      // the first thread not yet begun
  unsigned finished_ = 0;  // threads that have ended
  unsigned running_ = 0;

  std::vector<Runner*> at_barrier_;
  unsigned holding_ = 0;       // predicates at the present barrier
  unsigned last_holding_ = 0;  // and at the one before
  std::vector<Warp> warps_;    // of any block of this size: nobody waits between blocks
};

void set_thread_index(unsigned thread) {
  threadIdx = {thread % blockDim.x, thread / blockDim.x % blockDim.y, thread / (blockDim.x * blockDim.y)};
}

void BlockRunner::loop(Runner& runner) {
  for (;;) {
    while (next_ < size_) {
      runner.thread = running_ = next_++;
      set_thread_index(running_);
      (*kernel_)();
      ++finished_;
    }
    runner.thread = nobody;
    idle_.push_back(&runner);
    wait();
  }
}

/// Who has a turn now, which may be a fiber for threads not yet begun; null where nobody can go on.
BlockRunner::Runner* BlockRunner::next_runner() {
  const auto first_of = [](std::deque<Runner*>& turns) {
    Runner* first = turns.front();
    turns.pop_front();
    return first;
  };
  if (!ready_.empty()) return first_of(ready_);
  if (next_ < size_) return &idle_runner();
  return sleeping_.empty() ? nullptr : first_of(sleeping_);
}

BlockRunner::Runner& BlockRunner::idle_runner() {
  if (idle_.empty()) {
    Runner& runner = runners_.emplace_back();
    runner.fiber = std::make_unique<Fiber>([this, &runner] { loop(runner); });
    return runner;
  }
  Runner& runner = *idle_.back();
  idle_.pop_back();
  return runner;
}

void BlockRunner::run(const std::function<void()>& kernel, unsigned size) {
  kernel_ = &kernel;
  if (size != size_) warps_ = std::vector<Warp>((size + lanes_per_warp - 1) / lanes_per_warp);
  size_ = size;
  next_ = finished_ = 0;
  go_on_with(next_runner());
  current_->fiber->resume();
  if (finished_ < size_) report_divergence();
}

/// Sets the variables of its thread.
void BlockRunner::go_on_with(Runner* next) {
  current_ = next;
  running_ = next->thread;
  if (running_ != nobody) set_thread_index(running_);
}

/// Another thread's turn, or the end of the block. Whoever lets this one go on sets its variables again.
void BlockRunner::wait() {
  Runner* const waiting = current_;
  Runner* const next = finished_ < size_ ? next_runner() : nullptr;
  if (!next) return waiting->fiber->suspend();
  go_on_with(next);
  if (next != waiting) waiting->fiber->switch_to(*next->fiber);
}

void BlockRunner::wake(std::vector<Runner*>& waiting) {
  ready_.insert(ready_.end(), waiting.begin(), waiting.end());
  waiting.clear();
}

unsigned BlockRunner::barrier(bool predicate) {
  holding_ += predicate ? 1 : 0;
  if (at_barrier_.size() + 1 < size_) {
    at_barrier_.push_back(current_);
    wait();
  } else {
    last_holding_ = holding_;
    holding_ = 0;
    wake(at_barrier_);
  }
  return last_holding_;
}

BlockRunner::Meeting& BlockRunner::meeting_of(unsigned mask) {
  Warp& warp = warps_[running_ / lanes_per_warp];
  if (warp.latest && warp.latest->mask == mask) return *warp.latest;
  const auto found = std::ranges::find(warp.meetings, mask, &Meeting::mask);
  if (found != warp.meetings.end()) {
    warp.latest = &*found;
  } else {
    warp.latest = &warp.meetings.emplace_back();
    warp.latest->mask = mask;
    for (auto& values : warp.latest->values) std::ranges::fill(values, ~std::uint64_t{0});
  }
  return *warp.latest;
}

const std::uint64_t* BlockRunner::gather(unsigned mask, std::uint64_t value) {
  const unsigned lane = running_ % lanes_per_warp;
  const unsigned first = running_ - lane;
  const unsigned lanes = std::min(lanes_per_warp, size_ - first);
  const unsigned expected = lanes == lanes_per_warp ? mask : mask & ((1U << lanes) - 1);
  if ((expected >> lane & 1U) == 0) {
    std::fprintf(stderr,
                 "emulated CUDA: lane %u calls a warp function for the lanes 0x%08x, without itself\n", lane,
                 mask);
    std::abort();
  }
  Meeting& meeting = meeting_of(mask);
  std::uint64_t* values = meeting.values[meeting.round % 2];
  values[lane] = value;
  meeting.arrived |= 1U << lane;
  if (meeting.arrived != expected) {
    meeting.waiters[meeting.waiting++] = current_;
    wait();
    return values;
  }
  meeting.arrived = 0;
  ++meeting.round;
  ready_.insert(ready_.end(), meeting.waiters, meeting.waiters + std::exchange(meeting.waiting, 0));
  return values;
}

void BlockRunner::yield() {
  sleeping_.push_back(current_);
  wait();
}

void BlockRunner::report_divergence() const {
  std::fprintf(stderr,
               "emulated CUDA: block (%u, %u, %u) of %u threads stands still: %u have ended, %zu wait in "
               "__syncthreads()\n",
               blockIdx.x, blockIdx.y, blockIdx.z, size_, finished_, at_barrier_.size());
  for (std::size_t warp = 0; warp < warps_.size(); ++warp) {
    for (const Meeting& meeting : warps_[warp].meetings) {
      if (meeting.arrived != 0) {
        std::fprintf(stderr, "  warp %zu: the lanes 0x%08x of 0x%08x wait in a warp function\n", warp,
                     meeting.arrived, meeting.mask);
      }
    }
  }
  std::abort();
}

BlockRunner& runner() {
  thread_local BlockRunner runner;
  return runner;
}

}  // namespace

void run_grid(const LaunchShape& shape, const std::function<void()>& kernel) {
  gridDim = {shape.grid[0], shape.grid[1], shape.grid[2]};
  blockDim = {shape.block[0], shape.block[1], shape.block[2]};
  const unsigned size = blockDim.x * blockDim.y * blockDim.z;
  for (blockIdx.z = 0; blockIdx.z < gridDim.z; ++blockIdx.z) {
    for (blockIdx.y = 0; blockIdx.y < gridDim.y; ++blockIdx.y) {
      for (blockIdx.x = 0; blockIdx.x < gridDim.x; ++blockIdx.x) runner().run(kernel, size);
    }
  }
}

unsigned block_barrier(bool predicate) { return runner().barrier(predicate); }
const std::uint64_t* warp_gather(unsigned mask, std::uint64_t value) { return runner().gather(mask, value); }
unsigned lane() { return runner().running() % lanes_per_warp; }

void nanosleep(unsigned nanoseconds) {
  if (runner().size() == 1) {
    std::this_thread::sleep_for(std::chrono::nanoseconds(nanoseconds));
  } else {
    runner().yield();
  }
}

}  // namespace tardigrad::emulation
