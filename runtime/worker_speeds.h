#pragma once

#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

namespace tardigrad {

/// How fast workers are over the time of a run: `--throttle`, and the script of `--events FILE`. Times are
/// those of the delay model, units of `--compute-time`.
///
/// A job advances at the rate 1/slowdown of its worker at each moment. While a worker has failed it does not
/// advance, and what was done of it is lost: when the worker is back the job begins again, at the slowdown
/// that was last set. An event counts from its very time on; a job that ends at that time has ended.
class WorkerSpeeds {
 public:
  /// Nothing ever happens to anybody.
  WorkerSpeeds() = default;

  /// A script in TOML, events in the order of their times, of workers 0 … n−1:
  ///   [[event]]
  ///   time = 100
  ///   worker = 2
  ///   slowdown = 5        # from now on its jobs take 5 times as long; 1: as at the beginning
  ///   [[event]]
  ///   time = 300
  ///   worker = 2
  ///   state = "failed"    # or "working": is back
  /// Throws std::invalid_argument naming file and line and what was expected.
  static WorkerSpeeds read(const std::string& file, int workers);

  /// `--throttle 2=5x,7=1.5x`: all jobs of a worker take that many times as long, events included. Throws
  /// std::invalid_argument naming what was expected.
  void throttle(const std::string& text, int workers);

  /// Whether anything happens to anybody.
  bool any() const { return !phases_.empty(); }

  /// Whether a worker that has failed by `time` never comes back.
  bool lost(int worker, double time) const { return std::isinf(end_time(worker, time, 1)); }

  /// What a job that begins at `time` meets: how long its worker has failed for (0 mostly, or infinity), and
  /// how slow it is then.
  struct Pace {
    double idle;
    double slowdown;
  };
  Pace pace(int worker, double time) const;

  /// When a job of `work` units, begun at `start`, ends; infinity if never. Exactly start + work for a worker
  /// without events.
  double end_time(int worker, double start, double work) const {
    const auto row = static_cast<std::size_t>(worker);
    if (phases_.empty() || phases_[row].empty()) return start + work;
    return end_time(phases_[row], start, work);
  }

 private:
  /// From `begin` to the beginning of the next phase; infinitely slow is failed.
  struct Phase {
    double begin;
    double slowdown;
  };
  using Phases = std::vector<Phase>;

  static double end_time(const Phases& phases, double start, double work);

  std::vector<Phases> phases_;  // per worker: none, or from −infinity on, in order; empty without a script
};

}  // namespace tardigrad
