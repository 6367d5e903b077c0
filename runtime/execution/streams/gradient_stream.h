#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "runtime/device/stream.h"
#include "runtime/execution/gradient_jobs.h"
#include "runtime/execution/throttle.h"
#include "runtime/server/replica.h"

namespace tardigrad {

/// Computes the gradients of jobs on a stream of its own, one after another: the jobs of one worker in wall
/// time, of all workers of a device in virtual time.
///
/// start() only enqueues. On the stream a job is: gather the minibatch (needs no model) → wait until the
/// model is in the replica, and until the server has read what the gradient's memory held → gradient →
/// stretch (throttle) → completion event. A stream of one worker gathers its next minibatch right behind
/// that, while the server is at work.
class GradientStream {
 public:
  /// A job in flight.
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
    Buffer<std::uint64_t> began_ns;
    PinnedBuffer<std::uint32_t> cancelled_on_device;
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
    std::vector<int> workers;  ///< whose jobs it computes
    int jobs_ahead = 1;        ///< how many may be started before the first of them is over, ≥ 1
    bool time_jobs = false;    ///< for Job::computing_s()
  };

  /// Memory is there when the constructor returns.
  GradientStream(Objective& objective, Device device, const Options& options);
  GradientStream(const GradientStream&) = delete;
  GradientStream& operator=(const GradientStream&) = delete;

  Device device() const { return stream_.device(); }
  StreamRef stream() const { return stream_; }

  /// Starts a job on the model in the replica. `on_complete`, if given, is called from another thread when
  /// the gradient is there (or has failed, or the job was cut short).
  void start(int worker, std::uint64_t job, const Replica& replica, const Throttle* throttle,
             std::function<void()> on_complete);

  /// Whether a job must be over before another can start.
  bool full() const { return started_ - over_ == jobs_.size(); }

  /// The oldest job that is not retired.
  Job& oldest() { return jobs_[over_ % jobs_.size()]; }
  void retire() { ++over_; }

  /// The job started last.
  Job& latest() { return jobs_[(started_ - 1) % jobs_.size()]; }

  /// Cuts short what is in flight, and marks the end of all that is enqueued so far.
  void begin_drain() noexcept;

  /// Whether the stream has come there, failed or not.
  bool drained() const noexcept;

  /// Blocks until it has.
  void drain() noexcept { stream_.ref().drain(); }

 private:
  void enqueue_minibatch(int worker, std::uint64_t job);
  void enqueue_begin(Job& job, const Throttle& throttle);
  void enqueue_stretch(Job& job, int worker, std::uint64_t number, const Throttle& throttle);

  Stream stream_;
  GradientJobs gradients_;
  std::deque<Job> jobs_;  // ring
  Event end_;             // for begin_drain()
  std::uint64_t started_ = 0;
  std::uint64_t over_ = 0;
  std::optional<std::uint64_t> gathered_;  // of the job whose minibatch is there already
};

}  // namespace tardigrad
