#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>

#include "runtime/device/stream.h"
#include "runtime/execution/gradient_jobs.h"
#include "runtime/execution/throttle.h"
#include "runtime/server/replica.h"

namespace tardigrad {

/// Computes the gradients of a worker's jobs on a stream of its own, one after another, in wall time.
///
/// start() only enqueues. On the stream a job is: gather the minibatch (needs no model) → wait until the
/// model is in the replica, and until the server has read what the gradient's memory held → gradient →
/// stretch (throttle) → completion event → gather the next minibatch, while the server is at work.
///
/// With several slots, jobs that follow each other have memory of their own, so that the next one may be
/// enqueued while the gradient of one is not used yet.
class GradientStream {
 public:
  /// Is what a job has. The next job of its slot takes it over.
  struct Job {
    Job(StreamRef stream, Device server, std::size_t dimension);

    /// Ends it early, as far as it can be: leaves out what a CPU stream has not begun, and ends a throttle.
    void cancel();

    /// Of a complete job, where it is timed: seconds of computing, throttle included.
    std::optional<double> computing_s() const;

    Event complete;  ///< recorded by the worker
    Event taken;     ///< recorded by the server when it has read the gradient
    Buffer<float> gradient;
    PinnedBuffer<float> loss;
    std::stop_source cancelled;
    // For a throttle, on a CPU and on a GPU:
    double began_s = 0;
    Buffer<std::uint64_t> began_ns;                   ///< when it began, and the pauses before
    PinnedBuffer<std::uint32_t> cancelled_on_device;  ///< of jobs in turn: one that is cancelled may run on
    std::size_t in_use = 0;                           ///< of these
    struct Times {
      TimedEvent began;
      TimedEvent ended;
    };
    std::optional<Times> times;
  };

  struct Options {
    std::string name;
    Device server;
    JobOptions job;
    int worker;              ///< whose jobs it computes
    bool time_jobs = false;  ///< for Job::computing_s()
    std::size_t slots = 1;
  };

  /// Memory is there when the constructor returns.
  GradientStream(Objective& objective, Device device, const Options& options);
  GradientStream(const GradientStream&) = delete;
  GradientStream& operator=(const GradientStream&) = delete;

  Device device() const { return stream_.device(); }
  StreamRef stream() const { return stream_; }

  /// Starts a job on the model in the replica, when the one before is over. `on_complete`, if given, is
  /// called from another thread when the gradient is there (or has failed, or the job was cut short).
  void start(std::uint64_t number, const Replica& replica, const Throttle* throttle,
             std::function<void()> on_complete);

  /// Enqueues a job without its end: whoever calls it has the gradient used on stream() right behind it.
  void enqueue(std::uint64_t number, const Replica& replica, const Throttle* throttle);

  /// Returns the job that was started or enqueued last, or the one of that number, where none has taken its
  /// slot since.
  Job& job() { return *latest_; }
  Job& job(std::uint64_t number) { return jobs_[number % jobs_.size()]; }

  /// Cuts short what is in flight, and marks the end of all that is enqueued so far.
  void begin_drain() noexcept;

  /// Whether the stream has come there, failed or not.
  bool drained() const noexcept;

  /// Blocks until it has.
  void drain() noexcept { stream_.ref().drain(); }

 private:
  void enqueue_begin(Job& job, const Throttle& throttle);
  void enqueue_stretch(Job& job, std::uint64_t number, const Throttle& throttle);

  int worker_;
  Stream stream_;
  GradientJobs gradients_;
  std::deque<Job> jobs_;  // of each slot
  Job* latest_;
  Event end_;                              // for begin_drain()
  std::optional<std::uint64_t> gathered_;  // of the job whose minibatch is there already
};

}  // namespace tardigrad
