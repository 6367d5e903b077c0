#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/checkpoint/snapshot.h"
#include "runtime/device/device.h"
#include "runtime/methods/method.h"
#include "runtime/server/parameter_server.h"

namespace tardigrad {

/// How a worker uses the model it is handed.
struct JobOptions {
  int local_steps = 1;  ///< Q ≥ 1: the gradient of a job is that summed over Q steps of SGD (FedBuff)
  double local_lr = 0;  ///< of those steps, > 0 where there are several
};

/// Does what the coordinator decides: computes the gradients of jobs and carries out actions on them, in the
/// order of the calls as far as anyone can tell. Enqueues, and is not waited for but by collect(),
/// read_model() and drain().
///
/// A worker's jobs are numbered from 0 in the order of its hand-overs; those in actions make jobs, first in,
/// first out, and a Discard ends the one it is computing.
class Executor {
 public:
  Executor() = default;
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;
  virtual ~Executor() = default;

  /// x ← values [d], from host memory; first call of all.
  virtual void set_model(std::span<const float> values) = 0;

  /// Carries out actions that need no gradient, steps with step size `lr`.
  virtual void act(const Actions& actions, double lr) = 0;

  /// The gradient of the worker's oldest job arrives: carries out actions on it. At most capacity() arrivals
  /// may be uncollected.
  virtual void arrive(int worker, const Actions& actions, double lr) = 0;
  virtual std::size_t capacity() const = 0;

  /// Seconds that the job of the latest arrival computed, on its device's clock, throttle included; nothing
  /// where they were not taken (StreamExecutor::Wall::time_jobs).
  virtual std::optional<double> computing_s() const { return std::nullopt; }

  /// The loss of the oldest arrival not collected yet, when it is there. Throws DeviceError.
  virtual float collect() = 0;

  /// The job that a worker is computing was thrown away, and the coordinator heard that it is over (wall
  /// clock only).
  virtual void discarded_is_over(int) {}

  /// A worker is lost: all its jobs are thrown away, the one it is computing as a Discard does.
  virtual void lose(int worker) = 0;

  // In wall time workers fail by themselves. Elsewhere what they throw ends the run: the coordinator has run
  // ahead of them.

  /// A worker whose device or stream failed, and how. It must be lost, for good.
  struct Failure {
    int worker;
    std::string what;
  };

  /// A failure that was not told yet. Throws DeviceError where it is the server that failed.
  virtual std::optional<Failure> next_failure() { return std::nullopt; }

  /// Whether a job whose end the coordinator heard of was computed, or cut short, and so may arrive or be
  /// over; if not, its worker has failed.
  virtual bool is_healthy(int) { return true; }

  /// Whether the job that a worker has begun has come to its end, heard of or not.
  virtual bool has_ended(int) { return false; }

  /// The model as of all calls so far [d], in host memory. Every arrival must have been collected; after a
  /// DeviceError it is the newest one there is.
  virtual void read_model(std::span<float> values) = 0;

  /// Does what ParameterServer::read_mean_and_rows does, for arrivals that have been collected.
  virtual void read_mean_and_rows(const VectorVisitor& mean, const VectorVisitor& row) = 0;

  /// The version of that model: steps so far, or fewer after a DeviceError.
  virtual std::uint64_t version() const = 0;

  /// The largest drift of the server's mean that was mended (Server::largest_drift).
  virtual std::optional<double> largest_drift() = 0;

  /// Takes, as ParameterServer does, a snapshot of the server's vectors and of the models that jobs start
  /// from, whose versions it returns; restore() wants them again. Every arrival must have been collected
  /// before it begins.
  virtual bool at_rest() const { return true; }
  virtual std::vector<std::uint64_t> begin_snapshot(Snapshot& snapshot) = 0;
  virtual std::size_t save_more(std::size_t vectors) = 0;
  virtual void visit_state(StateArchive& state) = 0;

  /// Jobs that a worker has, in their order, by the versions they start from; `handed_over` so far.
  struct JobsOfWorker {
    std::vector<std::uint64_t> versions;
    std::uint64_t handed_over = 0;
  };

  /// In place of the first act(): takes what was saved. With `momentum_alone` the jobs are none, and tables
  /// are empty. Throws std::invalid_argument where it does not fit.
  virtual void restore(VectorFile& vectors, std::uint64_t version, std::span<const JobsOfWorker> jobs,
                       std::span<const std::uint64_t> models, ParameterServer::Restored what) = 0;

  /// Has workers go on with the jobs that were restored.
  virtual void go_on() {}

  /// Where a worker computes.
  virtual Device device(int worker) const = 0;

  /// Looks for failures. Throws the first error of any device, in wall time of the server's.
  virtual void check() {}

  /// Seconds that are waited for a worker's job to end that was cut short.
  using DrainTimeout = std::function<double(int worker)>;

  /// Cuts jobs in flight short and blocks until nothing runs any more, whether it failed or not: true. In
  /// wall time jobs for which the patience is not enough are left to go on: false; the destructor waits for
  /// them as long as it takes. Without a patience so does this.
  virtual bool drain(const DrainTimeout& patience) noexcept = 0;
};

}  // namespace tardigrad
