#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace tardigrad {

/// Says how fast workers are over the time of a run, by `--throttle` and the script of `--events FILE`. Times
/// are those of the delay model, units of `--compute-time`.
///
/// A job advances at the rate 1/slowdown of its worker at each moment. A worker that fails is taken out of
/// the run with its jobs (Coordinator), and comes back without any, at the slowdown that was last set. An
/// event counts from its very time on; a job that ends at that time has ended.
class EventScript {
 public:
  /// Makes a script in which nothing ever happens to anybody.
  EventScript() = default;

  /// Reads a script in TOML, events in the order of their times, of workers 0 … n−1:
  ///   [[event]]
  ///   time = 100
  ///   worker = 2
  ///   slowdown = 5        # from now on its jobs take 5 times as long; 1: as at the beginning
  ///   [[event]]
  ///   time = 300
  ///   worker = 2
  ///   state = "failed"    # it is lost, with its jobs; or "working": it is back
  /// Throws std::invalid_argument naming file and line and what was expected.
  static EventScript read(const std::string& file, int workers);

  /// Reads `--throttle 2=5x,7=1.5x`: all jobs of a worker take that many times as long, events included.
  /// Throws std::invalid_argument naming what was expected.
  void throttle(const std::string& text, int workers);

  /// Tells whether there is a script or a throttle.
  bool any() const { return !phases_.empty(); }

  /// Tells that a worker fails, or is back.
  struct Change {
    double time;
    int worker;
    bool lost;
  };

  /// Returns the changes in the order of the script, which is that of their times. Of each worker failures
  /// and returns take turns.
  const std::vector<Change>& changes() const { return changes_; }

  /// Returns how slow a worker is at a time: its jobs take so many times as long.
  double slowdown(int worker, double time) const;

  /// Returns when a job of `work` units, begun at `start`, ends if its worker does not fail before. That is
  /// exactly start + work for a worker without slowdowns.
  double end_time(int worker, double start, double work) const {
    const auto row = static_cast<std::size_t>(worker);
    if (phases_.empty() || phases_[row].empty()) return start + work;
    return end_time(phases_[row], start, work);
  }

 private:
  /// Lasts from `begin` to the beginning of the next phase.
  struct Phase {
    double begin;
    double slowdown;
  };
  using Phases = std::vector<Phase>;

  static Phases::const_iterator next_phase(const Phases& phases, double time);
  static double end_time(const Phases& phases, double start, double work);

  std::vector<Change> changes_;
  std::vector<Phases> phases_;  // per worker: none, or from −infinity on, in order; empty without a script
};

}  // namespace tardigrad
