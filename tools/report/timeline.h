#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "runtime/telemetry/telemetry.h"

namespace tardigrad {

/// Keeps what each worker did when, in bounded memory: every job at the beginning of a run and every job of
/// late, exactly, and the whole run as shares of activities in cells of equal width, which doubles as it
/// grows. Of many workers it chooses some.
class Timeline {
 public:
  static constexpr int most_rows = 256;
  static constexpr std::size_t window_jobs = 4096;  ///< at the beginning, and of late

  explicit Timeline(int workers);

  void add_gradient(const GradientRecord& gradient);
  void add_discard(const JobRecord& job);

  /// Adds the job of this worker that began at `start` and had not come to its end when the run did.
  void add_unfinished(int worker, double start);

  nlohmann::ordered_json json() const;

 private:
  enum Activity : std::size_t { computing, handing_over, queueing, discarded, activities };

  struct TimelineJob {
    int row = 0;
    bool discarded = false;
    std::uint64_t job = 0;
    std::uint64_t version = 0;
    std::uint64_t staleness = 0;
    double start = 0;
    double end = 0;
    double hand_over = 0;
    double queue = 0;
  };
  using Cell = std::array<float, activities>;  // time spent on each; the rest of it the worker waits

  int row_of(int worker) const;
  void keep(const TimelineJob& job);
  void add_to_cells(int row, double from, double to, Activity activity);
  void coarsen();
  double tick() const;
  std::vector<const TimelineJob*> jobs_of_late() const;
  nlohmann::ordered_json window(double from, const std::vector<const TimelineJob*>& jobs) const;
  nlohmann::ordered_json cells() const;

  int workers_;
  int rows_;
  std::vector<double> until_;       // a row: the end of the last job
  std::vector<double> unfinished_;  // a row: the start of the job after that, if it is known
  std::vector<TimelineJob> first_;
  std::vector<TimelineJob> late_;  // a ring
  std::uint64_t late_count_ = 0;   // that were ever written there
  double lost_end_ = 0;            // of the last job that the ring has lost
  std::size_t cells_a_row_;
  double cell_width_ = 1e-6;
  std::vector<Cell> cells_;  // by row, then by time
  double busy_ = 0;
  std::uint64_t jobs_ = 0;
};

}  // namespace tardigrad
