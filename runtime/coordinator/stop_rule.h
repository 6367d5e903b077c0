#pragma once

#include <optional>
#include <vector>

#include "runtime/coordinator/learning_rate.h"
#include "runtime/objective/objective.h"
#include "runtime/telemetry/telemetry.h"

namespace tardigrad {

/// Says what a run is to reach: this accuracy or more, this loss or less, or this ‖∇f‖² or less.
struct Target {
  enum class Kind { accuracy, loss, gradient_norm_sq };

  Kind kind = Kind::loss;
  double value = 0;

  /// Returns the number of an evaluation that it is about; nothing where the evaluation lacks it.
  std::optional<double> measure_in(const Evaluation& evaluation) const;

  /// Returns whether a model with that evaluation has reached it; not where the evaluation lacks the number.
  bool reached_by(const Evaluation& evaluation) const;
};

/// Says when a run is over: at the limit or the target that it reaches first.
struct StopRule {
  RunLimits limits;
  std::vector<Target> targets;

  /// Returns why a run at that position ends, whose latest evaluation is given; nothing if it goes on.
  std::optional<StopReason> reached(const RunPosition& position, const Evaluation& latest) const;
};

}  // namespace tardigrad
