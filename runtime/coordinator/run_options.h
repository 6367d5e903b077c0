#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "runtime/checkpoint/checkpoints.h"
#include "runtime/coordinator/learning_rate.h"
#include "runtime/coordinator/stop_rule.h"
#include "runtime/execution/execution.h"
#include "runtime/verify/verified_method.h"

namespace tardigrad {

/// Says what a run is to do, besides its objective and its method.
struct RunOptions : ExecutionOptions {
  double lr = 0;                         ///< γ
  std::string lr_schedule = "constant";  ///< as LearningRate reads it

  // The run ends at whichever comes first; at least one should be given.
  std::optional<std::uint64_t> max_updates;
  std::optional<std::uint64_t> max_gradients;
  std::optional<std::uint64_t> max_examples;  ///< that gradients look at, each time they do
  double time_limit = EventSource::never;     ///< on the run's own clock
  std::optional<double> target_accuracy;
  std::optional<double> target_loss;
  std::optional<double> target_gradient_norm_sq;  ///< needs evaluate_gradient

  // Evaluations besides those of the first and the last model.
  std::optional<std::uint64_t> evaluate_every_updates;
  std::optional<double> evaluate_every_time;  ///< on the run's own clock
  bool evaluate_objective = false;            ///< also f(x)
  bool evaluate_gradient = false;             ///< also f(x) and ||∇f(x)||²
  bool estimate_smoothness = false;           ///< of the first model (estimate_smoothness())

  /// The host keeps the model after so many updates, besides those evaluated, in case that losses cease to be
  /// finite.
  std::uint64_t keep_model_every = 1000;

  /// Where a stop was requested, this is called with the model [d] that the run ends with, once, before the
  /// last evaluation, which may be broken off. It is not called for a model that is not finite.
  std::function<void(std::span<const float> model)> save_first;

  CheckpointOptions checkpoints;

  /// Is the run's method where it is verified, for which the table is looked at now and then; else null.
  VerifiedMethod* verified = nullptr;

  RunLimits limits() const {
    return {.updates = max_updates, .gradients = max_gradients, .examples = max_examples, .time = time_limit};
  }

  /// Returns when the run is over.
  StopRule stop_rule() const;
};

}  // namespace tardigrad
