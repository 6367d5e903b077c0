#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/events/network.h"

namespace tardigrad {

/// Gives the compute time of every job, in units of `--time-unit`: a function of (seed, worker, job) alone,
/// so that every method compared under one seed meets the same delays, whatever the order in which it asks.
class Delays {
 public:
  /// Reads a `--compute-time` value for workers i = 0 … n−1. Times τ_i are drawn once a worker:
  ///   measured              no emulation: jobs take what they take (wall clock only)
  ///   1,2,40                one time a worker
  ///   linear:A:B            τ_i = A + B·i
  ///   permuted:A:B          the same times, given to the workers in an order drawn by the seed
  ///   truncnorm:MEAN:STD    the normal distribution truncated to (0, ∞)
  ///   lognormal:MU:SIGMA    exp of a normal variate of these parameters
  ///   pareto:SCALE:SHAPE    P(τ > t) = (SCALE/t)^SHAPE for t ≥ SCALE
  ///   exponential:MEAN
  ///   trace:FILE            recorded jobs: in FILE, JSON lines as of `--record`, every line with the numbers
  ///                         `worker` and `compute_time` is one; job j of a worker takes as long as its
  ///                         (j mod count)-th there. Other lines are skipped.
  ///   trace:FILE+shift      the same, but all workers begin as far into their jobs as the seed says, by one
  ///                         share of them: other delays, as alike and as tied to each other as those
  /// After any of them but measured and trace there may be noise, drawn once a job (Maranjyan, Richtárik
  /// 2025, have permuted:1:1+halfnormal:worker):
  ///   +halfnormal           |N(0, τ_i)|, of variance τ_i before the absolute value
  ///   +halfnormal:STD       |N(0, STD²)|
  ///   +halfnormal:worker    |N(0, i + 1)|, by the worker's number and not by its time
  ///   +exponential          Exp of mean τ_i
  ///   +exponential:MEAN     Exp of mean MEAN
  /// Last, after any of them but measured, there may be a link that models and gradients pass (in virtual
  /// time only):
  ///   +network:LATENCY:BANDWIDTH   see NetworkSpeed
  /// Throws std::invalid_argument naming the value, the line of a trace, and what was expected.
  static Delays parse(const std::string& value, int workers, std::uint64_t seed);

  bool measured() const { return base_.empty() && trace_.empty(); }

  /// Returns the compute time of a job. It must not be called for measured().
  double duration(int worker, std::uint64_t job) const;

  /// Returns τ_i per worker, before noise. It is empty if measured() or a trace.
  const std::vector<double>& base() const { return base_; }

  /// Returns the one time of all jobs, per worker. It is empty where they differ (noise, a trace, a network)
  /// or are measured().
  std::vector<double> fixed() const;

  /// Returns the link between server and workers, where there is one.
  const std::optional<NetworkSpeed>& network() const { return network_; }

  /// Tells whether a value has a network.
  static bool has_network(const std::string& value);

  /// Returns the file that a value takes recorded jobs from, and nothing for other forms.
  static std::optional<std::string> trace_file(const std::string& value);

  /// Returns the number of times in a list value such as "1,2,40", with noise or without, and nothing for
  /// other forms.
  static std::optional<int> list_length(const std::string& value);

 private:
  enum class Noise { none, halfnormal, exponential };

  void add_noise(const std::string& value, const std::string& noise);

  static Delays parse_times(const std::string& value, int workers, std::uint64_t seed);

  std::uint64_t seed_ = 0;
  std::vector<double> base_;
  Noise noise_ = Noise::none;
  std::vector<double> noise_scale_;         // per worker: the deviation of the normal, the mean of Exp
  std::vector<std::vector<double>> trace_;  // per worker, per recorded job, from the first to be taken on
  std::optional<NetworkSpeed> network_;
};

}  // namespace tardigrad
