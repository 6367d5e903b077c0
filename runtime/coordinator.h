#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <stop_token>
#include <vector>

#include "runtime/clock.h"
#include "runtime/delays.h"
#include "runtime/methods/method.h"
#include "runtime/objective.h"
#include "runtime/server.h"
#include "runtime/telemetry.h"
#include "runtime/worker.h"

namespace tardigrad {

/// Training left the finite numbers; the program exits with 4.
class NotFiniteError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

enum class ClockKind { wall, virtual_time };

struct RunOptions {
  double lr = 0;  ///< γ
  ClockKind clock = ClockKind::wall;
  double time_unit_s = 1;  ///< wall seconds of one unit of the delays

  // The run ends at whichever comes first; at least one should be given.
  std::optional<std::uint64_t> max_updates;
  std::optional<std::uint64_t> max_gradients;
  double time_limit = Clock::never;  ///< on the run's own clock
  std::optional<double> target_accuracy;

  // Evaluations besides those of the first and the last model.
  std::optional<std::uint64_t> evaluate_every_updates;
  std::optional<double> evaluate_every_time;  ///< on the run's own clock
};

/// Runs a method: hears of arrivals from the clock, asks the method what they mean, has the server do it,
/// starts the next jobs. It enqueues and never touches a gradient.
///
/// Placement: worker i on devices[i mod k]; in wall time each worker has a stream of its own, in virtual time
/// the workers of a device share one, so that k gradients are computed at once. The server lives on
/// devices[0]. In virtual time the order of arrivals does not depend on the computing, so the coordinator
/// enqueues ahead of it; losses, and the records that hold them, follow in order.
class Coordinator {
 public:
  /// All references outlive the coordinator; the devices are of one backend. Throws DeviceError where a
  /// device or its memory cannot be had, std::invalid_argument where the objective does not run on that
  /// backend.
  Coordinator(Objective& objective, Method& method, const Delays& delays, const std::vector<Device>& devices,
              const RunOptions& options, std::vector<RunObserver*> observers);
  ~Coordinator();
  Coordinator(const Coordinator&) = delete;
  Coordinator& operator=(const Coordinator&) = delete;

  /// Trains from `model` [d] (host memory) and leaves the final model there. Call once. A requested stop ends
  /// the run as a limit does. Throws DeviceError or NotFiniteError; `model` is then as it was.
  RunSummary run(std::span<float> model, const std::stop_token& stop);

 private:
  /// What the coordinator keeps of a worker.
  struct WorkerState {
    std::uint64_t version = 0;  ///< of the model handed over last
    bool working = false;
    double started_at = 0;  ///< the job in flight, or the last one
    double busy_time = 0;   ///< of the jobs that arrived
    std::uint64_t arrivals = 0;
    std::map<std::uint64_t, std::uint64_t> staleness_counts;
  };

  /// An arrival whose loss has not been looked at yet.
  struct Pending {
    int worker;
    std::optional<UpdateRecord> update;
  };

  void train(const std::stop_token& stop);
  void take(const Clock::Arrived& arrived);
  void start_jobs(const Actions& actions);
  void start_job(int worker);
  std::optional<UpdateRecord> count_steps(const Actions& actions, const Clock::Arrived& arrived);
  void settle_oldest();
  void settle_all();
  bool finished();
  void evaluate();
  void evaluate_if_due();
  void check_devices();
  void wind_up() noexcept;
  RunSummary summarise() const;
  WorkerRecord summarise_worker(int worker) const;

  Objective& objective_;
  Method& method_;
  const Delays& delays_;
  RunOptions options_;
  std::vector<RunObserver*> observers_;

  Stopwatch stopwatch_;
  std::unique_ptr<Clock> clock_;
  WallClock* wall_clock_ = nullptr;  // clock_, if it is one
  std::stop_source end_throttles_;
  std::vector<Stream> streams_;
  std::vector<std::unique_ptr<GradientEngine>> engines_;  // engines_[i] on streams_[i]
  std::vector<std::unique_ptr<Worker>> workers_;
  std::optional<Server> server_;

  std::vector<WorkerState> states_;
  std::deque<Pending> pending_;
  std::uint64_t version_ = 0;
  std::uint64_t gradients_ = 0;
  std::uint64_t staleness_since_update_ = 0;
  double next_evaluation_time_ = Clock::never;
  std::vector<float> host_model_;
  std::optional<EvaluationRecord> latest_evaluation_;
  double loss_sum_ = 0;  // of the gradients since the latest evaluation
  std::uint64_t loss_count_ = 0;
  StopReason stop_reason_ = StopReason::updates;
};

}  // namespace tardigrad
