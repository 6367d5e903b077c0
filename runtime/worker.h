#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>
#include <vector>

#include "runtime/clock.h"
#include "runtime/objective.h"

namespace tardigrad {

/// A worker: computes gradients on its stream, one job after the other, each on the model handed over to its
/// replica.
///
/// start_job() only enqueues. On the stream a job is: gather the minibatch (needs no model) → wait until the
/// model is in the replica → gradient → stretch (throttle) → completion event. The gradient stays untouched
/// until the next hand-over to this worker, which the server orders behind its reading of it.
class Worker {
 public:
  /// How a job is stretched to its drawn compute time, in wall time.
  struct Throttle {
    double compute_s = 0;
    const Stopwatch* stopwatch = nullptr;  ///< null: not at all
    std::stop_token stop;                  ///< ends the stretching early
  };

  /// `jobs_ahead`: how many jobs may be started before the first of them is collected, ≥ 1. The engine
  /// belongs to `stream`; both outlive the worker. Replica and gradient are there when the constructor
  /// returns.
  Worker(int index, StreamRef stream, GradientEngine& engine, std::size_t dimension, int jobs_ahead);

  int index() const { return index_; }
  Device device() const { return stream_.device(); }
  StreamRef stream() const { return stream_; }
  BufferRef<float> replica() { return replica_.ref(); }
  BufferRef<const float> gradient() const { return gradient_.ref(); }

  /// Whether a job must be collected before another can start.
  bool full() const { return started_ - collected_ == jobs_.size(); }

  /// Number of the next job, counted from 0.
  std::uint64_t next_job() const { return started_; }

  /// Starts the next job once `model_ready` is reached; not when full(). `on_complete`, if given, is called
  /// from another thread when the gradient is there (or has failed).
  void start_job(const Event& model_ready, const Throttle& throttle, std::function<void()> on_complete);

  /// The completion of the job started last.
  const Event& gradient_ready() const { return jobs_[(started_ - 1) % jobs_.size()].complete; }

  /// Blocks until the oldest job not collected yet is complete, and returns its loss. Throws DeviceError.
  float collect();

 private:
  /// A job in flight, or collected.
  struct Job {
    explicit Job(Device device) : complete(device), loss(device, 1) {}
    Event complete;
    PinnedBuffer<float> loss;
  };

  void enqueue_gradient(Job& job, const Throttle& throttle);

  int index_;
  StreamRef stream_;
  GradientEngine& engine_;
  Buffer<float> replica_;
  Buffer<float> gradient_;
  std::vector<Job> jobs_;  // ring, by job number
  std::uint64_t started_ = 0;
  std::uint64_t collected_ = 0;
};

}  // namespace tardigrad
