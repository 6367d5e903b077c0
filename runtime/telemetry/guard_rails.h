#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/telemetry/telemetry.h"

namespace tardigrad {

/// Returns the step size above which delays make SGD diverge on a quadratic of curvature L, with the gradient
/// of τ updates ago and momentum β: γ = 2 (1 − β) sin(π / (4τ + 2)) / L, about (1 − β) π / (2 τ L); without
/// delay 2 (1 + β) / L. It is exact for β = 0 and a constant τ (Levin, May 1976, from memory), within 30 %
/// for other β. What theory promises for any function, about 1 / (4 L √(τ_avg τ_max)) (Koloskova, Stich,
/// Jaggi 2022), is several times less: to warn above that would be to warn of most good runs.
double largest_stable_step(double smoothness, double delay, double momentum);

/// Notices that a worker computes 3 times as fast, or as slowly, as it used to: 8 jobs in a row do, give or
/// take one of many, and by more than its times vary anyway (3 mean deviations, on a scale of logarithms). It
/// learns the times as they used to be from the worker's first 24 jobs, and from those later ones that do not
/// stand out.
class SpeedWatch {
 public:
  static constexpr int jobs_in_a_row = 8;

  /// Takes the time of the next job, > 0. Returns how many times as slow the worker has become, once; > 1
  /// means slower.
  std::optional<double> next(double time);

  /// Visits the watches of all workers.
  static void visit_state(StateArchive& state, std::span<SpeedWatch* const> watches);

 private:
  double mean_ = 0;       // of log(time)
  double deviation_ = 0;  // mean of what it differs from that
  std::uint32_t jobs_ = 0;
  int streak_ = 0;       // jobs in a row that stood out, all the same way; less 2 for one that did not
  bool slower_ = false;  // the streak's jobs were
  bool told_ = false;
};

/// Holds what the guard rails have to know of a run.
struct GuardedRun {
  int workers = 0;     ///< n
  bool table = false;  ///< the method keeps a row a worker
  /// Says how old, in updates, a row may be that counts in the mean, where older ones leave it.
  std::optional<std::uint64_t> most_row_age{};
  double momentum = 0;                 ///< of the server
  int local_steps = 1;                 ///< a gradient is the sum over so many
  bool clipped = false;                ///< long steps are, so that step sizes say little
  std::optional<double> smoothness{};  ///< L; else that of EvaluationRecord
  /// Says how many times as long as on a quadratic steps may be where L is estimated. Networks leave places
  /// that are too curved, and later are just as curved as steps let them be; so what is estimated is the
  /// first model's.
  double tolerance = 1;
  /// Says how long a job of each worker takes, to any scale, as far as --compute-time and --throttle say so;
  /// else it is empty. What slowness explains of the age of a row is not warned of.
  std::vector<double> job_times{};
  /// Says what step sizes come from, and what the times of jobs do: a run that goes on with other ones is
  /// judged anew by those.
  std::string step_origin{};
  std::string speed_origin{};
};

/// Warns, in one line each, of step sizes that the observed delays are too long for (once), of workers whose
/// row of the table is older than 10 rounds of n updates and than its slowness explains, and of workers whose
/// speed has changed by 3 times (once a worker, and of five at most). That a loss is not finite is the
/// coordinator's to say.
///
/// The delay is the mean over the gradients that made the steps, by table methods over the rows. The largest
/// delay, which theory bounds steps by, says less: a straggler's gradient, or row, weighs little.
///
/// A run that goes on from a checkpoint is warned of what it would have been warned of without the break, and
/// of nothing else; where the checkpoint holds no state of guard rails, or is of another number of workers,
/// rows are as old as that checkpoint.
class GuardRails final : public RunObserver {
 public:
  /// Tells `observers`, which outlive it, by on_warning.
  GuardRails(const GuardedRun& run, std::vector<RunObserver*> observers);

  void on_gradient(const GradientRecord& record) override;
  void on_update(const UpdateRecord& record) override;
  void on_evaluation(const EvaluationRecord& record) override;
  void on_resume(const ResumeRecord& record) override;
  std::string state_name() const override { return "guard_rails"; }
  void visit_state(StateArchive& state) override;

 private:
  struct Worker {
    std::uint64_t version = 0;  // of the newest of its gradients
    bool told_of_age = false;
    SpeedWatch speed;
  };

  void check_step_size(std::uint64_t update, double time);
  double delay_of_rows(std::uint64_t update) const;
  void check_rows(std::uint64_t update, double time);
  void warn(Warning warning);
  void visit_workers(StateArchive& state, bool speeds);
  void forget_steps();

  GuardedRun run_;
  std::vector<RunObserver*> observers_;
  std::vector<Worker> workers_;
  std::vector<std::uint64_t> oldest_rows_;  // per worker, in updates
  std::uint64_t version_sum_ = 0;           // over the workers
  std::uint64_t next_check_ = 0;            // an update
  std::optional<double> smoothness_;

  // Of the gradients since the latest step.
  std::uint64_t staleness_sum_ = 0;
  std::uint64_t gradients_ = 0;

  // Of the steps of the last rounds.
  double lr_sum_ = 0;
  double lr_delay_sum_ = 0;
  double steps_ = 0;

  std::array<int, 4> warnings_{};  // by kind
  bool restored_ = false;          // with what is known of the workers
};

}  // namespace tardigrad
