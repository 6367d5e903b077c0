#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "runtime/telemetry/telemetry.h"
#include "tools/report/bounded_series.h"
#include "tools/report/row_ages.h"
#include "tools/report/straggler.h"
#include "tools/report/timeline.h"

namespace tardigrad {

/// Gathers what a page shows of one run from its records as they come, or as RunLogReader tells them, in
/// memory that depends on the number of workers, not on the length of the run. An event costs far less than a
/// microsecond. It is not synchronised: `json` is for the thread that calls the observer, or under a lock.
class RunPicture final : public RunObserver {
 public:
  /// Begins a picture. `run_json` is the record that a log begins with. Throws std::invalid_argument if it
  /// does not say how many workers there are; so do the events of a worker that is none of them.
  explicit RunPicture(const std::string& run_json);

  void on_gradient(const GradientRecord& gradient) override;
  void on_update(const UpdateRecord& update) override;
  void on_discard(const JobRecord& job) override;
  void on_evaluation(const EvaluationRecord& evaluation) override;
  void on_warning(const Warning& warning) override;
  void on_worker_change(const WorkerChange& change) override;
  void on_summary(const RunSummary& summary) override;

  /// Returns a JSON object, which tools/report/README.md describes.
  std::string json() const;

 private:
  struct EvaluationPoint : EvaluationRecord {
    void merge(const EvaluationPoint& later) { *this = later; }
  };
  /// Holds means and maxima over neighbouring gradients.
  struct ProgressPoint {
    double time = 0;
    std::uint64_t update = 0;
    std::uint64_t gradients = 0;
    double loss_sum = 0;
    double staleness_sum = 0;
    std::uint64_t staleness_max = 0;
    std::uint64_t count = 1;

    void merge(const ProgressPoint& later);
  };
  /// Holds ages of the rows, at neighbouring updates.
  struct RowAgePoint {
    double time = 0;
    std::uint64_t update = 0;
    std::uint64_t gradients = 0;
    double mean_sum = 0;
    std::uint64_t max = 0;
    std::uint64_t count = 1;

    void merge(const RowAgePoint& later);
  };

  WorkerTimes& times_of(int worker);
  void advance(double time, std::uint64_t update, std::uint64_t gradients);
  void add_progress(float loss, std::uint64_t staleness);
  void fold_row(const GradientRecord& gradient);
  void note_row_ages(const UpdateRecord& update);
  void take_from_summary(const WorkerRecord& record);
  nlohmann::ordered_json summary_json() const;
  nlohmann::ordered_json evaluations_json() const;
  nlohmann::ordered_json progress_json() const;
  nlohmann::ordered_json row_ages_json() const;
  nlohmann::ordered_json workers_json() const;
  nlohmann::ordered_json straggler_json() const;

  nlohmann::ordered_json warnings_json() const;

  static constexpr std::size_t most_points = 1000;
  static constexpr std::size_t most_warnings = 50;

  std::string run_json_;
  bool has_table_ = false;
  bool two_tables_ = false;  // what arrives for the next round is not in use before that
  double time_ = 0;
  std::uint64_t update_ = 0;
  std::uint64_t gradients_ = 0;
  bool jobs_told_ = false;
  bool updates_told_ = false;
  std::vector<WorkerTimes> workers_;
  BoundedSeries<EvaluationPoint> evaluations_{most_points};
  BoundedSeries<ProgressPoint> progress_{most_points};
  RowAges rows_;
  std::vector<std::optional<std::uint64_t>> next_rows_;  // versions, of two tables
  BoundedSeries<RowAgePoint> row_ages_{most_points};
  Timeline timeline_;
  std::vector<Warning> warnings_;  // and changes of workers: the first ones, and the last
  std::optional<RunSummary> summary_;
};

}  // namespace tardigrad
