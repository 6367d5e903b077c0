#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <tuple>
#include <vector>

#include "runtime/base/break_off.h"
#include "tools/advise/measured_run.h"
#include "tools/compare/compare_outputs.h"
#include "tools/compare/sweep.h"
#include "tools/options/advise_options.h"

namespace tardigrad {

/// Names a run to simulate.
struct Trial {
  std::string method;
  double lr = 0;
  std::uint64_t seed = 0;

  friend bool operator<(const Trial& one, const Trial& other) {
    return std::tie(one.method, one.lr, one.seed) < std::tie(other.method, other.lr, other.seed);
  }
};

/// Runs methods in virtual time on the problem and the delays of a measured run, each until it reaches the
/// target. The measured run's method keeps its own options (--gather and the like), the others have theirs
/// by default.
class Simulator {
 public:
  /// Throws std::invalid_argument for whatever the user can mend.
  Simulator(const AdviseOptions& options, const MeasuredRun& measured);

  const std::optional<Target>& target() const { return sweep_.target; }
  const std::vector<std::string>& methods() const { return methods_; }
  const std::vector<std::uint64_t>& seeds() const { return seeds_; }

  /// Returns the end of every trial that does not reach the target, on the run's clock.
  double time_limit() const { return sweep_.runs.front().time_limit.value(); }

  /// Says when the measured run first reached the target, in a clause: "; measured: 11 s". It is empty where
  /// that was not measured.
  std::string describe_measured() const;

  /// Executes those of the trials that have not been executed yet; what an earlier program has left in
  /// `--log-dir` is read. Those are missing that a stop came before.
  void run(const std::vector<Trial>& trials, const std::stop_token& stop);

  /// Returns what came of a trial that run() was given.
  const RunResult& result(const Trial& trial) const { return results_.at(trial); }

  /// Returns the options of the measured run with that method and step size in place of its own, until it
  /// reaches the target.
  TrainOptions options_with(const std::string& method, double lr) const;

  /// Says how noisy gradients are at the first model, how much those of the workers differ, and how smooth f
  /// is, in one line. Throws BrokenOff.
  std::string describe_gradients(const BreakOff& break_off) const;

 private:
  TrainOptions shared_options(const AdviseOptions& options) const;
  void choose_end(TrainOptions& shared);
  void plan(const AdviseOptions& options, const TrainOptions& shared);

  const MeasuredRun& measured_;
  LogFolder folder_;
  bool keeps_logs_;
  std::optional<double> measured_time_;
  std::vector<std::string> methods_;
  std::vector<std::uint64_t> seeds_;
  Sweep sweep_;  // its runs: one of each method
  std::map<Trial, RunResult> results_;
};

}  // namespace tardigrad
