#pragma once

#include <cuda_runtime_api.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "tests/cuda_emulation/in_order_thread.h"

/// The objects behind CUDA's handles. A handle is the object's address; objects are never freed, so that the
/// use of one that was destroyed is found and answered with CUDA's error.
namespace tardigrad::emulation {

/// What a function of CUDA returns instead of cudaSuccess; thrown within the emulation, returned by api().
struct Failure {
  cudaError_t status;
};
inline void require(bool condition, cudaError_t status) {
  if (!condition) throw Failure{status};
}

/// Whether a handle still stands for its object, and a list of all objects for leak checkers to follow.
template <typename Object>
class Handle {
 public:
  Handle() = default;
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;

  template <typename... Arguments>
  static Object* make(Arguments&&... arguments) {
    auto* made = new Object(std::forward<Arguments>(arguments)...);
    made->older_ = newest_.load(std::memory_order_relaxed);
    do {
      made->next_.store(made->older_, std::memory_order_relaxed);
    } while (!newest_.compare_exchange_weak(made->older_, made, std::memory_order_acq_rel));
    return made;
  }

  /// Calls `visit` with each object that was ever made, in use or not: what it has begun goes on behind its
  /// destruction. Those for which it returns true may be left out from then on.
  template <typename Visit>
  static void for_each_until_true(const Visit& visit) {
    Object* kept = nullptr;
    for (Object* one = newest_.load(std::memory_order_acquire); one != nullptr;) {
      Object* const next = one->next_.load(std::memory_order_acquire);
      if (!visit(*one)) {
        kept = one;
      } else if (kept != nullptr) {
        // One that another thread has left out may come back: it is visited once more.
        kept->next_.store(next, std::memory_order_release);
      }
      one = next;
    }
  }

  bool alive() const { return alive_.load(std::memory_order_relaxed); }
  /// Whether it is destroyed; then all that it was given before is seen, too.
  bool ended() const { return !alive_.load(std::memory_order_acquire); }
  /// Only the first of two destructions is one.
  void destroy() {
    require(alive_.exchange(false, std::memory_order_release), cudaErrorInvalidResourceHandle);
  }

 private:
  static inline std::atomic<Object*> newest_{nullptr};
  std::atomic<bool> alive_{true};
  Object* older_ = nullptr;
  std::atomic<Object*> next_{nullptr};  // an older one, without those that are left out
};

/// The object of a handle in use. Throws cudaErrorInvalidResourceHandle.
template <typename Object, typename Native>
Object& object_of(Native handle) {
  auto* object = reinterpret_cast<Object*>(handle);
  require(object != nullptr && object->alive(), cudaErrorInvalidResourceHandle);
  return *object;
}

/// A point in a stream's work, reached once.
class Completion {
 public:
  void reach() {
    time_ = std::chrono::steady_clock::now();
    reached_.store(1);  // sequentially consistent: notify_all() looks for waiters behind it
    reached_.notify_all();
  }
  bool reached() const {  // relaxed first: a "no" is to synchronise with nothing
    return reached_.load(std::memory_order_relaxed) != 0 && reached_.load(std::memory_order_acquire) != 0;
  }
  void wait() const { reached_.wait(0, std::memory_order_acquire); }
  std::chrono::steady_clock::time_point time() const { return time_; }

 private:
  std::atomic<int> reached_{0};
  std::chrono::steady_clock::time_point time_;
};

struct StreamState;

struct Device {
  int index = 0;
  std::atomic<int> failure{cudaSuccess};           ///< the sticky error
  std::atomic<long long> launches_to_failure{-1};  ///< counts down to 0; none is to fail if negative
  bool hangs = false;                              ///< and does not fail: that launch never ends
  std::size_t memory_bytes = 0;
  std::size_t allocated_bytes = 0;  ///< guarded by the mutex of memory.cpp, as are these
  std::set<int> peers;              ///< that this device may access
  std::set<int> pool_readers;       ///< devices that may access the default pool of this one
  std::uint64_t release_threshold = 0;
  InOrderThread* driver = nullptr;  ///< runs host functions
  StreamState* default_stream = nullptr;

  void check() const { require(failure == cudaSuccess, static_cast<cudaError_t>(failure.load())); }
};

std::vector<std::unique_ptr<Device>>& devices();

/// Throws cudaErrorInvalidDevice.
Device& device_at(int index);
Device& current_device();

enum class Kind {
  launch,    ///< device work that counts for fault injection; skipped once its device has failed
  transfer,  ///< other device work; skipped likewise
  host,      ///< a host function; skipped likewise, as CUDA does
  order,     ///< events and waits: always takes place, so that nothing hangs
};

struct Work {
  Kind kind;
  Device* device;
  std::function<void()> run;

  void execute() const;
};

struct Capture;

struct StreamState : Handle<StreamState> {
  explicit StreamState(Device& the_device, int the_priority) : device(the_device), priority(the_priority) {}

  Device& device;
  int priority;
  InOrderThread thread;

  std::mutex mutex;
  std::shared_ptr<Capture> capture;  ///< guarded by mutex; may have ended

  /// The capture this stream takes part in, or null.
  std::shared_ptr<Capture> active_capture();

  /// Puts work at the end of the stream, or into the graph being captured. Throws the device's sticky error.
  void submit(Work work);

  /// Behind everything submitted, whatever became of the device.
  void push(Work work);
};

/// The stream of a handle; of null, the default stream of the current device.
StreamState& stream_of(cudaStream_t handle);

struct Event : Handle<Event> {
  Event(Device& the_device, bool is_timed) : device(the_device), timed(is_timed) {}

  Device& device;
  bool timed;

  std::mutex mutex;
  std::shared_ptr<Completion> latest;  ///< of the latest record; null if there is none
  std::shared_ptr<Capture>
      capture;  ///< the latest record was made in it; then `tails` are the nodes it stands for
  std::vector<std::size_t> tails;
};

/// Waits for everything submitted to the streams of a device.
void drain(const Device& device);

/// Whether calls that CUDA counts as unsafe during a capture are forbidden to this thread; if so, throws and
/// invalidates the capture.
void require_no_unsafe_capture();

/// The device whose work runs on this thread, or null on the program's own threads.
Device*& running_device();
bool& in_host_function();

/// Keeps the status for cudaGetLastError() and returns it.
cudaError_t remember(cudaError_t status);

/// The body of a function of the API: returns what it throws, and refuses calls that CUDA forbids in host
/// functions.
template <typename Body>
cudaError_t api(const Body& body) {
  if (in_host_function() || running_device() != nullptr) return cudaErrorNotPermitted;
  try {
    body();
    return cudaSuccess;
  } catch (const Failure& failure) {
    return remember(failure.status);
  } catch (const std::bad_alloc&) {
    return remember(cudaErrorMemoryAllocation);
  }
}

}  // namespace tardigrad::emulation
