#include "runtime/execution/completions.h"

#include <algorithm>
#include <atomic>
#include <thread>

#include "kernels/device_time.h"
#include "runtime/device/buffer.h"
#include "runtime/device/event.h"
#include "runtime/device/stream.h"

namespace tardigrad {
namespace {

/// Streams of workers, the last of which has turnarounds while the others are busy.
class Turnarounds {
 public:
  Turnarounds(Device device, int workers) : stamps_(device, 2), release_(device, 1) {
    std::atomic_ref(*release_.data()).store(0);
    // All memory first: none is to be had while kernels wait.
    for (int i = 0; i < workers; ++i) {
      streams_.emplace_back(device, "turnaround");
      complete_.emplace_back(device);
      held_.emplace_back(streams_.back(), 1);
      streams_.back().ref().synchronize();
    }
    for (std::size_t i = 0; i + 1 < streams_.size(); ++i) hold(i);
  }

  ~Turnarounds() { std::atomic_ref(*release_.data()).store(1); }
  Turnarounds(const Turnarounds&) = delete;
  Turnarounds& operator=(const Turnarounds&) = delete;

  double measure_s(Completions completions) {
    const StreamRef worker = streams_.back();
    worker.enqueue(StampTime{&stamps_.data()[0]});
    worker.record(complete_.back());
    if (completions == Completions::polling) {
      while (!any_complete()) std::this_thread::yield();
    } else {
      std::atomic<bool> complete = false;
      worker.notify([&] {
        complete = true;
        complete.notify_one();
      });
      complete.wait(false);
    }
    worker.enqueue(StampTime{&stamps_.data()[1]});
    worker.synchronize();
    return 1e-9 * static_cast<double>(stamps_.data()[1] - stamps_.data()[0]);
  }

 private:
  /// Until the destructor.
  void hold(std::size_t index) {
    const StreamRef stream = streams_[index];
    Stretch stretch;
    stretch.began_ns = held_[index].ref().data();
    stretch.duration_ns = Stretch::for_ever;
    stretch.cut_short = release_.data();
    stream.enqueue(StampTime{held_[index].ref().data()});
    stream.enqueue(stretch);
    stream.record(complete_[index]);
  }

  /// Asks all, as the coordinator does.
  bool any_complete() const {
    bool any = false;
    for (const Event& event : complete_) any = event.complete() || any;
    return any;
  }

  PinnedBuffer<std::uint64_t> stamps_;
  PinnedBuffer<std::uint32_t> release_;
  std::vector<Event> complete_;
  std::vector<Stream> streams_;
  std::vector<Buffer<std::uint64_t>> held_;
};

/// A card holds up as many streams at once as it has hardware queues; more workers than that wait in turn.
int held_at_most(int workers) { return std::clamp(workers, 1, 16); }

}  // namespace

std::string completions_name(Completions completions) {
  return completions == Completions::polling ? "polling" : "callback";
}

std::vector<double> measure_turnarounds(Device device, Completions completions, int workers, int rounds) {
  constexpr int warm_up = 5;
  Turnarounds turnarounds(device, held_at_most(workers));
  std::vector<double> times_s;
  for (int i = -warm_up; i < rounds; ++i) {
    const double time_s = turnarounds.measure_s(completions);
    if (i >= 0) times_s.push_back(time_s);
  }
  std::sort(times_s.begin(), times_s.end());
  return times_s;
}

Completions faster_completions(Device device, int workers) {
  if (device.backend == Backend::cpu) return Completions::callback;
  constexpr int rounds = 21;
  constexpr int turns = 3;
  double best_s[2] = {};
  for (int turn = 0; turn < turns; ++turn) {
    for (const Completions way : {Completions::polling, Completions::callback}) {
      best_s[static_cast<int>(way)] += measure_turnarounds(device, way, workers, rounds)[rounds / 2];
    }
  }
  return best_s[0] <= best_s[1] ? Completions::polling : Completions::callback;
}

}  // namespace tardigrad
