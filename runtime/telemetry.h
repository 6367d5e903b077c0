#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/objective.h"

namespace tardigrad {

/// One step of the model. `time` is the run's own clock: seconds in wall time, units of the delay model in
/// virtual.
struct UpdateRecord {
  std::uint64_t update = 0;  ///< the model's version after it, counted from 1
  double time = 0;
  int worker = 0;               ///< whose arrival made it
  std::uint64_t staleness = 0;  ///< the largest of the gradients that came in since the update before
  double lr = 0;                ///< γ times the method's scale
  std::uint64_t gradients = 0;  ///< that arrived so far
  float loss = 0;               ///< of that worker's minibatch, at the model it was handed
};

struct EvaluationRecord {
  std::uint64_t update = 0;
  double time = 0;
  double train_time_s = 0;  ///< wall seconds of training so far
  std::uint64_t gradients = 0;
  Evaluation evaluation;
  std::optional<double> train_loss;  ///< mean minibatch loss of the gradients since the evaluation before
};

/// What one worker did in a run.
struct WorkerRecord {
  int worker = 0;
  std::string device;
  std::uint64_t jobs = 0;              ///< whose gradient arrived
  double mean_compute_time = 0;        ///< of a job, on the run's own clock
  double busy_share = 0;               ///< of the run, in [0, 1]; the rest it waited for a model
  std::uint64_t staleness_median = 0;  ///< of its gradients
  std::uint64_t staleness_max = 0;
};

enum class StopReason { updates, epochs, time_limit, target_accuracy, interrupted };

/// "updates", "epochs", "time-limit", "target-accuracy", "interrupted".
std::string to_string(StopReason reason);

struct RunSummary {
  std::uint64_t updates = 0;
  std::uint64_t gradients = 0;
  double time = 0;
  double train_time_s = 0;  ///< wall seconds of training; set-up and evaluation not counted
  Evaluation final_evaluation;
  std::optional<double> train_loss;
  std::uint64_t staleness_max = 0;
  StopReason stop_reason = StopReason::updates;
  std::vector<WorkerRecord> workers;
};

/// Is told what happens in a run, in order, on the coordinator's thread; must return quickly.
class RunObserver {
 public:
  RunObserver() = default;
  RunObserver(const RunObserver&) = delete;
  RunObserver& operator=(const RunObserver&) = delete;
  virtual ~RunObserver() = default;

  virtual void on_update(const UpdateRecord&) {}
  virtual void on_evaluation(const EvaluationRecord&) {}
  virtual void on_summary(const RunSummary&) {}
};

}  // namespace tardigrad
