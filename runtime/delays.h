#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tardigrad {

/// The compute time of every job, in units of `--time-unit`: a function of (seed, worker, job) alone, so that
/// every method compared under one seed meets the same delays. Here each worker has one time for all its
/// jobs.
class Delays {
 public:
  /// A `--compute-time` value for n workers:
  ///   measured            no emulation: jobs take what they take (wall clock only)
  ///   1,2,40              one positive time a worker
  ///   truncnorm:MEAN:STD  drawn once a worker from the normal distribution truncated to (0, ∞)
  /// Throws std::invalid_argument naming the value and what was expected.
  static Delays parse(const std::string& value, int workers, std::uint64_t seed);

  bool measured() const { return durations_.empty(); }

  /// The compute time of a job; not for measured().
  double duration(int worker, std::uint64_t job) const;

  /// One time per worker; empty if measured().
  const std::vector<double>& durations() const { return durations_; }

  /// The number of times in a list value such as "1,2,40"; nothing for other forms.
  static std::optional<int> list_length(const std::string& value);

 private:
  std::vector<double> durations_;
};

}  // namespace tardigrad
