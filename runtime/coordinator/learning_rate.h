#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>

namespace tardigrad {

/// Says how far a run is.
struct RunPosition {
  std::uint64_t updates = 0;
  std::uint64_t gradients = 0;
  std::uint64_t examples = 0;  ///< that those gradients looked at
  double time = 0;             ///< on the run's own clock

  /// Returns the same at another time.
  RunPosition at(double other) const { return {updates, gradients, examples, other}; }
};

/// Says where a run ends, whichever comes first. Targets that it may reach before are none of these.
struct RunLimits {
  std::optional<std::uint64_t> updates{};
  std::optional<std::uint64_t> gradients{};
  std::optional<std::uint64_t> examples{};
  double time = std::numeric_limits<double>::infinity();

  /// Returns how many arrivals there are at least until a limit but that of time is reached, where each
  /// makes an update and looks at no more than `examples_each`.
  std::uint64_t arrivals_left(const RunPosition& position, std::size_t examples_each) const;

  /// Returns the share of the run that is over, in [0, 1], by the limit that is nearest.
  double share_over(const RunPosition& position) const;
};

/// Gives the step size over a run, as a factor of γ (`--lr-schedule`).
class LearningRate {
 public:
  /// Keeps γ throughout.
  explicit LearningRate(double lr) : lr_(lr) {}

  /// `schedule` is
  ///   constant           γ
  ///   cosine             γ (1 + cos πp)/2, p the share of the run that is over (Loshchilov, Hutter 2017)
  ///   step:EVERY:FACTOR  γ FACTOR^⌊k/EVERY⌋ at model version k
  ///   warmup:N           γ min(1, (k+1)/N)
  ///   warmup:N+SCHEDULE  that times one of those above
  /// Throws std::invalid_argument naming the value and what was expected.
  LearningRate(double lr, const std::string& schedule);

  /// Tells whether at() depends on `progress`.
  bool follows_progress() const { return kind_ == Kind::cosine; }

  /// Returns the step size at a position of a run that ends there.
  double at(const RunPosition& position, const RunLimits& limits) const {
    return at(position.updates, follows_progress() ? limits.share_over(position) : 0);
  }

  /// Returns the step size for the step from version k on; `progress` lies in [0, 1].
  double at(std::uint64_t version, double progress) const;

 private:
  enum class Kind { constant, cosine, step };
  double lr_;
  Kind kind_ = Kind::constant;
  std::uint64_t every_ = 1;
  double factor_ = 1;
  std::uint64_t warmup_ = 0;  // updates
};

}  // namespace tardigrad
