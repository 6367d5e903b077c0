#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "runtime/base/histogram.h"
#include "runtime/objective/objective.h"

namespace tardigrad {

class StateArchive;

/// Records the end of a job: its gradient arrived, or it was discarded. Times are those of the run's own
/// clock.
struct JobRecord {
  int worker = 0;
  std::uint64_t job = 0;      ///< of that worker, counted from 0
  std::uint64_t version = 0;  ///< of the model it was computed at
  double time = 0;            ///< of its end
  double compute_time = 0;    ///< since its worker was free, and the model handed over
};

/// Records what a gradient did. Where workers take turns at being slow, the times say why: it computes for
/// compute_time − hand_over_time.
struct GradientRecord {
  JobRecord job;
  std::uint64_t staleness = 0;  ///< k − version
  double hand_over_time =
      0;                  ///< of compute_time, until the gradient began: server and copies. Wall time only.
  double queue_time = 0;  ///< from its arrival until the coordinator took it up. Wall time only.
  std::uint64_t gradients = 0;  ///< that arrived so far
  std::uint64_t examples = 0;   ///< that those looked at; a log does not hold it
  std::uint64_t update = 0;     ///< that it made; 0: none
  float loss = 0;               ///< of its minibatch, at the model it was computed at
};

/// Records one step of the model. `time` is the run's own clock: seconds in wall time, units of the delay
/// model in virtual.
struct UpdateRecord {
  std::uint64_t update = 0;  ///< the model's version after it, counted from 1
  double time = 0;
  int worker = 0;  ///< whose arrival made it, or whose loss or return
  /// Is the largest staleness of the gradients that moved the direction since the update before. Lazy folds
  /// don't count.
  std::uint64_t staleness = 0;
  double lr = 0;                ///< γ times the method's scale
  std::uint64_t gradients = 0;  ///< that arrived so far
  /// Is the loss of that worker's minibatch, at the model it was handed; where a failure or a return made the
  /// update, of the arrival before.
  float loss = 0;
};

struct EvaluationRecord {
  std::uint64_t update = 0;
  double time = 0;
  double train_time_s = 0;  ///< wall seconds of training so far
  std::uint64_t gradients = 0;
  Evaluation evaluation;
  std::optional<double> train_loss;  ///< mean minibatch loss of the gradients since the evaluation before
  std::optional<double> smoothness = {};  ///< L at the first model, as estimated
};

/// Tells what the owner of a run should know of. GuardRails finds it, but for gaps, which RunLogReader tells
/// of.
struct Warning {
  enum class Kind { step_size, old_row, speed_change, checkpoint, not_finite, log_gap };

  Kind kind = Kind::step_size;
  std::uint64_t update = 0;  ///< of the model that it is about
  double time = 0;           ///< on the run's own clock
  std::string text;          ///< one line with the numbers and where they come from
};

/// Returns "step-size", "old-row", "speed-change", "checkpoint", "not-finite" or "log-gap".
std::string to_string(Warning::Kind kind);

/// Records that a worker was taken out of the run, or is back.
struct WorkerChange {
  int worker = 0;
  bool lost = false;         ///< or back
  std::uint64_t update = 0;  ///< of the model then
  double time = 0;           ///< on the run's own clock
  std::string reason;        ///< one line: by the script, an error and its text, a time-out with its numbers
};

/// Records that the whole state of the run is being saved as it is now.
struct CheckpointRecord {
  std::string name;  ///< of the checkpoint, in its folder
  std::uint64_t update = 0;
  std::uint64_t gradients = 0;
  double time = 0;  ///< on the run's own clock
};

/// Records that the run goes on from a checkpoint. What it did before is not told again.
struct ResumeRecord {
  std::string path;  ///< of the checkpoint
  CheckpointRecord checkpoint;
  EvaluationRecord evaluation;  ///< the latest before it
};

/// Names a checkpoint that is whole and on the disk.
struct SavedCheckpoint {
  CheckpointRecord record;
  std::filesystem::path path;
  bool asked = false;  ///< for by a CheckpointRequest
};

/// Sums up what one worker did in a run.
struct WorkerRecord {
  int worker = 0;
  std::string device;
  std::uint64_t jobs = 0;            ///< whose gradient arrived
  double mean_compute_time = 0;      ///< of a job, on the run's own clock
  double busy_share = 0;             ///< of the run, in [0, 1]; the rest it waited for a model
  std::uint64_t discarded_jobs = 0;  ///< thrown away before they arrived
  double discarded_share = 0;        ///< of its busy time, spent on those
  double mean_hand_over_time = 0;    ///< of a gradient, as GradientRecord has them
  double mean_queue_time = 0;
  Histogram staleness;  ///< of its gradients
};

enum class StopReason {
  updates,
  gradients,
  time_limit,
  target_accuracy,
  target_loss,
  target_gradient_norm_sq,
  recording_ended,
  interrupted
};

/// Returns "updates", "epochs", "time-limit", "target-accuracy", "target-loss", "target-gradient-norm-sq",
/// "end-of-recording" or "interrupted".
std::string to_string(StopReason reason);

struct RunSummary {
  std::uint64_t updates = 0;
  std::uint64_t gradients = 0;
  double time = 0;
  double train_time_s = 0;      ///< wall seconds of training; set-up and evaluation not counted
  Evaluation final_evaluation;  ///< the latest
  std::uint64_t evaluated_update =
      0;  ///< of its model; not the last one where that evaluation was broken off
  std::optional<double> train_loss;
  std::uint64_t staleness_max = 0;
  double idle_share = 0;                ///< of the workers' time, in [0, 1]
  double discarded_share = 0;           ///< of the workers' busy time, spent on jobs thrown away
  std::optional<double> largest_drift;  ///< of the table's mean, as resums found it (Server::largest_drift)
  StopReason stop_reason = StopReason::updates;
  std::vector<WorkerRecord> workers;
};

/// Is told what happens in a run, in order, on the coordinator's thread. It must return quickly.
class RunObserver {
 public:
  RunObserver() = default;
  virtual ~RunObserver() = default;

  /// Is told of an arrival at once; the others follow when the losses of the gradients before are known.
  virtual void on_arrival(const JobRecord&) {}
  /// Is told that a job thrown away earlier has come to its end at `time` (wall clock).
  virtual void on_discarded_over(int /*worker*/, double /*time*/) {}
  virtual void on_gradient(const GradientRecord&) {}
  /// Is told of an update, after the gradient that made it, or, where none did, after the worker's change.
  virtual void on_update(const UpdateRecord&) {}
  /// Is told that a job was thrown away at `time`, by what the method made of the gradient before, or with
  /// its worker.
  virtual void on_discard(const JobRecord&) {}
  virtual void on_evaluation(const EvaluationRecord&) {}
  virtual void on_warning(const Warning&) {}
  virtual void on_worker_change(const WorkerChange&) {}
  /// Is told of a checkpoint. All records before it are of what the checkpoint holds, all after it are not.
  virtual void on_checkpoint(const CheckpointRecord&) {}
  virtual void on_checkpoint_saved(const SavedCheckpoint&) {}
  virtual void on_summary(const RunSummary&) {}

  /// Is told, first of all, that the run goes on from a checkpoint. visit_state has been called, if the
  /// checkpoint holds this observer's state.
  virtual void on_resume(const ResumeRecord&) {}

  /// Returns the name under which checkpoints hold what the observer has to know of the run so far. It is
  /// empty where that is nothing.
  virtual std::string state_name() const { return {}; }
  /// Saves what the observer has to know, or restores it. What is restored may come from anywhere.
  virtual void visit_state(StateArchive&) {}

 protected:
  RunObserver(const RunObserver&) = default;  // of whole observers only
  RunObserver& operator=(const RunObserver&) = default;
};

}  // namespace tardigrad
