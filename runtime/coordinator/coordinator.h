#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <vector>

#include "runtime/base/fifo.h"
#include "runtime/base/histogram.h"
#include "runtime/checkpoint/checkpoints.h"
#include "runtime/coordinator/learning_rate.h"
#include "runtime/device/devices.h"
#include "runtime/events/delays.h"
#include "runtime/events/event_script.h"
#include "runtime/events/event_source.h"
#include "runtime/events/recording.h"
#include "runtime/events/stopwatch.h"
#include "runtime/events/worker_health.h"
#include "runtime/execution/completions.h"
#include "runtime/execution/executor.h"
#include "runtime/methods/method.h"
#include "runtime/objective/objective.h"
#include "runtime/server/server.h"
#include "runtime/telemetry/telemetry.h"
#include "runtime/verify/verified_method.h"

namespace tardigrad {

/// Training left the finite numbers; the program exits with 4. The model of update(), if there is one, is the
/// newest kept whose losses were finite.
class NotFiniteError : public std::runtime_error {
 public:
  NotFiniteError(const std::string& message, std::optional<std::uint64_t> update)
      : std::runtime_error(message), update_(update) {}
  std::optional<std::uint64_t> update() const { return update_; }

 private:
  std::optional<std::uint64_t> update_;
};

/// No worker is left, and none is to come back; the program exits with 3. The model of update() is the
/// newest.
class WorkersLostError : public std::runtime_error {
 public:
  WorkersLostError(const std::string& message, std::uint64_t update)
      : std::runtime_error(message), update_(update) {}
  std::uint64_t update() const { return update_; }

 private:
  std::uint64_t update_;
};

/// A device failed during a run. The model of update() is what could be saved of it.
class DeviceLostError : public DeviceError {
 public:
  DeviceLostError(const DeviceError& error, std::uint64_t update) : DeviceError(error), update_(update) {}
  std::uint64_t update() const { return update_; }

 private:
  std::uint64_t update_;
};

/// A stop was requested before the first model was evaluated: the run has not begun, and there is nothing to
/// save.
class StoppedEarlyError : public std::runtime_error {
 public:
  StoppedEarlyError() : std::runtime_error("the run had not begun, and leaves nothing") {}
};

enum class ClockKind { wall, virtual_time };

struct RunOptions {
  double lr = 0;                         ///< γ
  std::string lr_schedule = "constant";  ///< as LearningRate reads it
  ServerOptions server;
  JobOptions job;
  ClockKind clock = ClockKind::wall;
  double time_unit_s = 1;                  ///< wall seconds of one unit of the delays
  std::optional<Completions> completions;  ///< in wall time; nothing: the faster one on the first device
  /// In wall time: take the times of GradientRecord, at the cost of two timed events a job.
  bool time_jobs = false;
  /// In wall time: seconds after which a job counts as hung (WorkerHealth).
  std::optional<double> worker_timeout_s;

  // The run ends at whichever comes first; at least one should be given.
  std::optional<std::uint64_t> max_updates;
  std::optional<std::uint64_t> max_gradients;
  double time_limit = EventSource::never;  ///< on the run's own clock
  std::optional<double> target_accuracy;
  std::optional<double> target_loss;
  std::optional<double> target_gradient_norm_sq;  ///< needs evaluate_gradient

  // Evaluations besides those of the first and the last model.
  std::optional<std::uint64_t> evaluate_every_updates;
  std::optional<double> evaluate_every_time;  ///< on the run's own clock
  bool evaluate_objective = false;            ///< also f(x)
  bool evaluate_gradient = false;             ///< also f(x) and ||∇f(x)||²
  bool estimate_smoothness = false;           ///< of the first model (estimate_smoothness())

  /// Updates after which the host keeps the model, besides those evaluated, in case that losses cease to be
  /// finite.
  std::uint64_t keep_model_every = 1000;

  /// Where a stop was requested: takes the model [d] that the run ends with, once, before the last
  /// evaluation, which may be broken off. Not called for a model that is not finite.
  std::function<void(std::span<const float> model)> save_first;

  CheckpointOptions checkpoints;

  /// The run's method where it is verified, for which the table is looked at now and then; else null.
  VerifiedMethod* verified = nullptr;

  RunLimits limits() const {
    return {.updates = max_updates, .gradients = max_gradients, .time = time_limit};
  }
};

/// Runs a method: hears of arrivals from the clock, asks the method what they mean, has the executor do it,
/// starts the next jobs. It decides and never touches a gradient.
///
/// In wall time, and on GPUs, workers and server have streams (StreamExecutor); in virtual time on the CPU,
/// threads compute ahead of the server (LookaheadExecutor). In virtual time the order of arrivals does not
/// depend on the computing, so the coordinator runs ahead of it; losses, and the records that hold them,
/// follow in order. A recording is repeated like virtual time, in its own order.
///
/// Workers that the script fails are taken out of the run until it has them back: their jobs are thrown away,
/// nothing is handed to them, and the method makes of it what it will. In wall time so are workers whose
/// device or stream fails, for good, and those that hang, until their job comes to its end after all. In
/// virtual time what a job throws ends the run: the coordinator has run ahead of it.
class Coordinator {
 public:
  /// All references outlive the coordinator. `replay` may be null. Throws
  /// DeviceError where a device or its memory cannot be had, std::invalid_argument where the objective does
  /// not run on that backend.
  Coordinator(Objective& objective, Method& method, const Delays& delays, const EventScript& speeds,
              const Devices& devices, const RunOptions& options, std::vector<RunObserver*> observers,
              Recording* replay = nullptr);
  ~Coordinator() = default;  // the executor waits for whatever still runs
  Coordinator(const Coordinator&) = delete;
  Coordinator& operator=(const Coordinator&) = delete;

  /// Has run() go on from a checkpoint; before it, once. Where the checkpoint is of another number of
  /// workers, it goes on from the model and the momentum alone, and the method begins anew. Throws
  /// std::invalid_argument where the checkpoint does not fit.
  void resume(const Checkpoint& checkpoint);

  /// Trains from `model` [d] (host memory) and leaves the final model there. Call once. A requested stop ends
  /// the run as a limit does, but that evaluations are broken off: checkpoint and model are saved first
  /// (RunOptions::save_first), and of the last model there is an evaluation only if it takes no more than
  /// last_evaluation_takes_at_most. Throws StoppedEarlyError. Throws DeviceLostError, with what could be
  /// saved in `model`: the newest model if the server's device still answers, else the newest that the host
  /// has. Throws NotFiniteError, with the newest model in `model` that is kept and whose losses were finite:
  /// the latest evaluated, or one kept since, in memory or in a checkpoint, that is older than the one whose
  /// loss was not. Throws WorkersLostError, with the newest model in `model`. Throws std::invalid_argument
  /// where a recording does not fit; `model` is then as it was.
  RunSummary run(std::span<float> model, const std::stop_token& stop);

  /// The last evaluation after a requested stop may take so long, counted from the end of the running
  /// gradients.
  static constexpr std::chrono::milliseconds last_evaluation_takes_at_most{1500};

  /// Whether a worker still hangs now that the run is over. Its job goes on, on what this refers to; the
  /// destructor waits for its end, which may never come: who cannot wait must leave all that alone and end
  /// the program by std::_Exit.
  bool hung() const { return hung_; }

 private:
  struct Job {
    std::uint64_t number;
    std::uint64_t version;  // of the model handed over for it
  };

  /// Why a worker is out of the run; it is back when nothing of that holds any more.
  struct Absence {
    bool scripted = false;  // or replayed
    bool hung = false;
    bool failed = false;  // for good
    bool any() const { return scripted || hung || failed; }
  };

  /// Kind the coordinator keeps of a worker.
  struct WorkerState {
    Fifo<Job> jobs;  // the first is being computed, if `computing`
    bool computing = false;
    bool discarding = false;  // brings a job to its end that was thrown away
    Absence absence;
    double hopeless_at = 0;   // where it hangs: from then on its return is not waited for
    int late_hand_overs = 0;  // that wait for that end
    std::uint64_t handed_over = 0;
    double started_at = 0;  // the job in flight, or the last one
    std::uint64_t started_job = 0;
    double busy_time = 0;  // of the jobs that arrived or were discarded
    double discarded_time = 0;
    std::uint64_t discarded_jobs = 0;
    double hand_over_time = 0;  // of the arrivals, as GradientRecord has it
    double queue_time = 0;
    Histogram staleness;  // of the arrivals
  };

  /// An arrival whose loss has not been looked at yet, and what it led to.
  struct Pending {
    GradientRecord gradient;
    std::optional<UpdateRecord> update;
    std::vector<JobRecord> discards;
  };

  WorkerState& state(int worker) { return states_[static_cast<std::size_t>(worker)]; }
  std::unique_ptr<Executor> make_executor(const Delays& delays, const EventScript& speeds,
                                          const Devices& devices);
  void begin();
  void train(const std::stop_token& stop);
  void train_and_end(std::span<float> model, const std::stop_token& stop);
  void end_stopped(std::span<float> model);
  void take(const EventSource::Event& arrived);
  void take_end_of_discarded(const EventSource::Event& arrived);
  std::optional<UpdateRecord> account(Actions& actions, const EventSource::Event& arrived,
                                      std::uint64_t staleness, double lr);
  void hand_over_late(int worker, double time);
  bool hand_over(int worker);
  bool discard(int worker);
  void throw_away(int worker);
  void start_if_waiting(int worker);
  double learning_rate(double time) const;
  void visit_state(StateArchive& state);
  void visit_reasons(StateArchive& state);
  void restore_observers(StateArchive& state, const std::filesystem::path& checkpoint);
  void begin_with_other_workers();
  void visit_workers(StateArchive& state);
  void visit_evaluation(StateArchive& state);
  void restore_vectors(const Checkpoint& checkpoint, std::span<const std::uint64_t> models,
                       ParameterServer::Restored what);
  void go_on_with_jobs();
  void require_ends() const;
  nlohmann::ordered_json state_json(std::vector<std::uint64_t> models);
  void checkpoint_if_due();
  void begin_checkpoint();
  void save_more();
  void checkpoint_the_end();
  void tell_of_checkpoints(const std::optional<std::string>& text);
  void check_progress();
  void wind_up() noexcept;

  // coordinator_lost_workers.cpp
  bool is_sound(int worker);
  void take_change(const EventSource::Event& change);
  void take_out(int worker, bool Absence::*why, double time, const std::string& reason);
  void take_back(int worker, bool Absence::*why, double time, const std::string& reason);
  void tell_change(const WorkerChange& change);
  void act_on_change(int worker, double time);
  void take_out_failed();
  void take_out_hung();
  bool may_end_yet(const WorkerState& worker) const;
  bool anything_to_come() const;
  double time_of_trouble() const;
  std::string describe_lost() const;
  [[noreturn]] void end_without_workers();

  // coordinator_evaluations.cpp
  void settle_oldest();
  void settle_all();
  bool finished();
  bool evaluate();
  EvaluationRecord evaluation_of(std::span<const float> model);
  void evaluate_if_due();
  void keep_model_if_due();
  void check_table_if_due();
  void check_table();
  [[noreturn]] void end_not_finite(const std::string& what, std::uint64_t version, double time);
  bool has_finite_loss(std::span<const float> model);
  std::optional<std::uint64_t> go_back_before(std::uint64_t version);
  RunSummary summarise() const;
  WorkerRecord summarise_worker(int worker) const;

  void read_newest(std::span<float> model);
  std::uint64_t salvage(std::span<float> model) noexcept;

  Objective& objective_;
  Method& method_;
  RunOptions options_;
  LearningRate learning_rate_;
  std::vector<RunObserver*> observers_;

  std::unique_ptr<Checkpoints> checkpoints_;  // outlives the streams, which may have its work
  bool resumed_ = false;

  Stopwatch stopwatch_;
  std::unique_ptr<EventSource> clock_;
  std::unique_ptr<Executor> executor_;

  std::vector<WorkerState> states_;
  std::optional<WorkerHealth> health_;  // in wall time
  std::map<int, std::string> reasons_;  // of the workers that are lost
  bool wound_up_ = false;
  bool hung_ = false;  // some worker's job was left alone then
  Actions actions_;
  Fifo<Pending> pending_;
  std::vector<JobRecord> discards_;  // by the arrival that is being taken
  std::uint64_t version_ = 0;
  std::uint64_t gradients_ = 0;
  std::uint64_t staleness_since_update_ = 0;  // the largest in the direction of the next step
  BreakOff break_off_;                        // of evaluations
  double next_evaluation_time_ = EventSource::never;
  bool sealed_ = false;            // the checkpoint in progress has all its vectors
  std::vector<float> host_model_;  // of the latest evaluation
  std::optional<EvaluationRecord> latest_evaluation_;
  std::vector<float> kept_model_;   // of an update since the latest evaluation; empty: none
  std::uint64_t kept_version_ = 0;  // of that, or of the latest evaluation
  double loss_sum_ = 0;             // of the gradients since the latest evaluation
  std::uint64_t loss_count_ = 0;
  float latest_loss_ = 0;  // of a gradient
  StopReason stop_reason_ = StopReason::updates;
};

}  // namespace tardigrad
