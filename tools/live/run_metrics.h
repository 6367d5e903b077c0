#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/base/histogram.h"
#include "runtime/telemetry/telemetry.h"

namespace tardigrad {

/// Says in a few numbers how far a run is and how it does, for programs that watch it. Those of work are
/// counted since this process began.
struct RunValues {
  using SteadyClock = std::chrono::steady_clock;

  int workers = 0;
  int lost_workers = 0;  ///< now
  std::uint64_t worker_failures = 0;
  std::uint64_t worker_returns = 0;
  std::uint64_t updates = 0;
  std::uint64_t gradients = 0;
  std::uint64_t discarded_jobs = 0;
  std::uint64_t evaluations = 0;
  std::vector<std::uint64_t> warnings;  ///< by Warning::Kind
  double time = 0;                      ///< on the run's own clock
  std::optional<double> lr;
  std::optional<double> minibatch_loss;  ///< moving average
  std::optional<EvaluationRecord> evaluation;
  Histogram staleness;  ///< of gradients
  double staleness_sum = 0;
  // Sums over the workers, on the run's own clock: from their first job to the end of their latest.
  double worked_time = 0;  ///< that went by
  double busy_time = 0;
  double discarded_time = 0;  ///< of that
  std::optional<RunSummary> summary;
  SteadyClock::time_point latest_arrival;  ///< of a gradient; where there is one
  SteadyClock::time_point latest_sign;     ///< of life: a gradient, or an evaluation, say
  SteadyClock::duration longest_pause{};   ///< between two of these

  /// Returns a share in [0, 1], as the next one does, and nothing where no job has come to its end.
  std::optional<double> idle_share() const;
  std::optional<double> discarded_share() const;
};

/// Gathers these values of a run. An event costs far less than a microsecond. It is not synchronised.
class RunMetrics final : public RunObserver {
 public:
  /// Begins at a run record. Throws std::invalid_argument if it does not say how many workers there are.
  explicit RunMetrics(const std::string& run_json);

  const RunValues& values() const { return values_; }

  void on_gradient(const GradientRecord& record) override;
  void on_update(const UpdateRecord& record) override;
  void on_discard(const JobRecord& record) override;
  void on_evaluation(const EvaluationRecord& record) override;
  void on_warning(const Warning& warning) override;
  void on_worker_change(const WorkerChange& change) override;
  void on_summary(const RunSummary& summary) override;

 private:
  void give_sign();
  void note_job(const JobRecord& job);

  RunValues values_;
  std::vector<std::optional<double>> worked_until_;  // of each worker
  std::vector<bool> lost_;
};

}  // namespace tardigrad
