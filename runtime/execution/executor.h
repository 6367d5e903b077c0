#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/checkpoint/snapshot.h"
#include "runtime/checkpoint/vector_file.h"
#include "runtime/device/device.h"
#include "runtime/execution/orders.h"
#include "runtime/server/parameter_server.h"

namespace tardigrad {

/// Does what the coordinator orders: computes the gradients of jobs and has the parameter server carry out
/// actions on them, in the order of the calls as far as anyone can tell. It enqueues, and is waited for only
/// by collect(), drain() and whoever reads the server. Of jobs it knows which replica of the model each
/// starts from, and nothing else.
class Executor {
 public:
  Executor() = default;
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;
  virtual ~Executor() = default;

  /// The server that it drives. It may be read when every arrival has been collected; behind a DeviceError it
  /// has the newest model there is.
  virtual ParameterServer& server() = 0;

  /// Carries out orders that need no gradient, with steps of size `lr`.
  virtual void carry_out(const Orders& orders, double lr) = 0;

  /// The gradient of the worker's oldest job, which is `job`, arrives: carries out orders on it, out of which
  /// it may take the actions. At most capacity() arrivals may be uncollected.
  virtual void arrive(int worker, const Job& job, Orders& orders, double lr) = 0;
  virtual std::size_t capacity() const = 0;

  /// Returns the seconds that the job of the latest arrival computed, on its device's clock, throttle
  /// included; nothing where they were not taken (ExecutionOptions::time_jobs).
  virtual std::optional<double> computing_s() const { return std::nullopt; }

  // An executor may go ahead of the orders where it knows them (Orders::each_arrival()): what it has done
  // with a gradient is ordered when the events tell of the arrival.

  /// Lets it do so with `count` arrivals more than have been ordered, until it is told otherwise.
  virtual void allow_arrivals(std::uint64_t /*count*/) {}

  /// Lets it do so no more, and has the events tell of all that has arrived thus. Returns whether any of that
  /// is still to be ordered; once it is not, the server is where the orders are. Throws DeviceError.
  virtual bool hold() { return false; }

  /// Carries out all that was ordered, as far as that can be, so that the server has the newest model there
  /// is. Throws DeviceError.
  virtual void apply_planned() {}

  /// Waits for the loss of the oldest arrival not collected yet, and returns it. Throws DeviceError.
  virtual float collect() = 0;

  /// A worker's job that was thrown away has come to its end (wall time only).
  virtual void retire_discarded(int /*worker*/) {}

  /// A worker is lost: all its jobs are thrown away. The oldest goes on until it is retired if it `computes`,
  /// as one that is discarded.
  virtual void lose(int worker, bool computes) = 0;

  // In wall time workers fail by themselves. Elsewhere what they throw ends the run: the coordinator has run
  // ahead of them.

  /// A worker whose device or stream failed, and how. It must be lost, for good.
  struct Failure {
    int worker;
    std::string what;
  };

  /// Returns a failure that was not told yet. Throws DeviceError where it is the server that failed.
  virtual std::optional<Failure> next_failure() { return std::nullopt; }

  /// Returns whether a job whose end the coordinator heard of was computed, or cancelled, and so may arrive
  /// or be retired; if not, its worker has failed.
  virtual bool is_healthy(int /*worker*/) { return true; }

  /// Returns whether the job that a worker has begun has come to its end, heard of or not.
  virtual bool has_ended(int /*worker*/) { return false; }

  // A snapshot has the models that jobs start from, beside what ParameterServer saves.

  /// Announces those models, and returns their versions; restore_jobs() wants them again. Every arrival must
  /// have been collected.
  virtual std::vector<std::uint64_t> begin_snapshot(Snapshot& snapshot) = 0;

  /// Has up to so many more of them saved, and returns how many there were.
  virtual std::size_t save_more(std::size_t vectors) = 0;

  /// Takes the jobs that each worker has, with their models out of `vectors`, in place of the first
  /// carry_out(). Throws std::invalid_argument where they do not fit.
  virtual void restore_jobs(std::span<const std::vector<Job>> jobs, VectorFile& vectors,
                            std::span<const std::uint64_t> models) = 0;

  /// Returns where a worker computes.
  virtual Device device(int worker) const = 0;

  /// Looks for failures. Throws the first error of any device, in wall time of the server's.
  virtual void check() {}

  /// Seconds that are waited for a worker's job to end that was cancelled.
  using DrainTimeout = std::function<double(int worker)>;

  /// Cancels jobs in flight and blocks until nothing runs any more, whether it failed or not: true. In wall
  /// time jobs for which the time-out is not enough are left to go on: false; the destructor waits for them
  /// as long as it takes. Without a time-out so does this.
  virtual bool drain(const DrainTimeout& timeout) noexcept = 0;
};

}  // namespace tardigrad
