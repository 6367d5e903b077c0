#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "runtime/base/state_archive.h"
#include "runtime/server/parameter_server.h"
#include "runtime/verify/checks.h"

namespace tardigrad {

/// Checks whether the mean ū, which is moved along with the rows, is still their mean: the rows are summed up
/// on the host, in double, and nothing is mended.
///
/// Rounding may do this much: a fold moves ū by (T' − T)/n, with errors of at most half a unit in the last
/// place of numbers that are no larger than the largest row R and a few times R/n, so of 8·2⁻²⁴·R at most; a
/// mean set anew from n rows is off by n times that at most. So since the look before, ū − mean has changed
/// by no more than 8·2⁻²⁴·(folds + n)·R, or it was set anew and is no more than that itself. A fold that was
/// left out shows as ‖T' − T‖/n, which is more for as long as looks are near each other.
class TableCheck {
 public:
  /// Reads the table, as ParameterServer::read_mean_and_rows does.
  using Read = std::function<void(const VectorVisitor& mean, const VectorVisitor& row)>;

  /// Tells whether a look is due: not more often than costs 2 % of the time, nor than every so many updates,
  /// which double from 1 to 1000.
  bool due(std::uint64_t update) const;

  /// Looks at the table. `folds` counts those that moved ū since the run began. Returns false where a number
  /// is not finite.
  bool look(const Read& read, std::uint64_t update, std::uint64_t folds, Checks& checks);

  std::uint64_t looks() const { return looks_; }
  double largest_drift() const { return largest_drift_; }  ///< ‖ū − mean‖/‖mean‖

  void visit_state(StateArchive& state);

 private:
  /// Holds norms of what was read.
  struct Norms {
    double rows = 0;  // of the largest
    double mean = 0;
    double error = 0;         // of ū − mean
    double error_change = 0;  // of that, since the look before
  };

  Norms measure(const Read& read);

  using Time = std::chrono::steady_clock::time_point;

  std::uint64_t next_update_ = 1;
  std::uint64_t window_ = 1;
  Time not_before_{};
  std::uint64_t looks_ = 0;
  double largest_drift_ = 0;
  double largest_row_ = 0;          // at the look before
  std::uint64_t folds_before_ = 0;  // up to then
  std::vector<float> error_;        // ū − mean then; empty: 0
  std::vector<double> sum_;         // scratch
  std::vector<float> mean_;         // scratch
};

}  // namespace tardigrad
