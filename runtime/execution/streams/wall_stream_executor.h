#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/events/wall_events.h"
#include "runtime/execution/completions.h"
#include "runtime/execution/job_options.h"
#include "runtime/execution/streams/gradient_stream.h"
#include "runtime/execution/streams/stream_executor.h"
#include "runtime/execution/throttle.h"

namespace tardigrad {

/// Computes in wall time, on any backend: each worker has a stream, and its job starts at the hand-over.
class WallStreamExecutor : public StreamExecutor {
 public:
  /// Holds what only such a run has.
  struct Wall {
    std::optional<Throttle> throttle;
    WallEvents& events;  ///< is told of complete gradients, and outlives the executor
    Completions completions;
    bool time_jobs;  ///< for computing_s()
  };

  /// The objective outlives the executor. Each stream has `slots` jobs at a time (GradientStream).
  WallStreamExecutor(Objective& objective, const Devices& devices, ServerMemory memory,
                     const ServerOptions& server, const JobOptions& job, Wall wall, std::size_t slots = 1);
  ~WallStreamExecutor() override;
  WallStreamExecutor(const WallStreamExecutor&) = delete;
  WallStreamExecutor& operator=(const WallStreamExecutor&) = delete;

  void arrive(int worker, const Job& job, Orders& orders, double lr) override;
  std::optional<double> computing_s() const override { return computing_s_; }
  float collect() override { return losses_.pop(); }
  void retire_discarded(int worker) override { release_oldest(worker); }
  void lose(int worker, bool computes) override;
  std::optional<Failure> next_failure() override;
  bool is_healthy(int worker) override;
  bool has_ended(int worker) override;
  Device device(int worker) const override { return state(worker).stream->device(); }
  void check() override;
  bool drain(const DrainTimeout& timeout) noexcept override;

 protected:
  GradientStream& stream(int worker) { return *state(worker).stream; }
  const Wall& wall() const { return wall_; }
  const Throttle* throttle() const { return wall_.throttle ? &*wall_.throttle : nullptr; }

  /// Takes note of a gradient that has arrived.
  void note_arrival(const GradientStream::Job& job);

  /// Has a worker begin its oldest job.
  virtual void begin_job(int worker);

  /// Has it noticed when the job that a worker is about to begin is complete. Returns what its stream is to
  /// call then, or nothing.
  virtual std::function<void()> notice(int worker);

  /// Has poll() ask whether the job of a worker is complete.
  void poll_for(int worker) { polled_.push_back(worker); }

  /// Tells of what is complete.
  virtual void poll();

  /// Tells that a worker's job is complete.
  virtual void tell(int worker) { wall_.events.gradient_complete(worker); }

  /// Makes of the failure of a worker, the first, what is to become of it.
  virtual void fail(int worker, const DeviceError& error);

  /// Throws, or has next_failure() return, the failures of the workers' streams.
  void check_workers();

 private:
  struct WorkerStream {
    std::unique_ptr<GradientStream> stream;
    bool failed = false;  ///< nothing of the stream is used any more
  };

  WorkerStream& state(int worker) { return streams_[static_cast<std::size_t>(worker)]; }
  const WorkerStream& state(int worker) const { return streams_[static_cast<std::size_t>(worker)]; }
  void begin(const std::vector<int>& workers) override;
  void discard(int worker) override;
  void show_pauses_to_devices();

  Wall wall_;
  std::optional<PinnedBuffer<PauseState>> pauses_;
  std::vector<WorkerStream> streams_;
  std::vector<int> polled_;  // workers whose completion is to be polled for
  Fifo<float> losses_;       // of arrivals that are not collected yet
  std::optional<double> computing_s_;
  Fifo<Failure> failures_;
};

}  // namespace tardigrad
