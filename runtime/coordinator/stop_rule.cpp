#include "runtime/coordinator/stop_rule.h"

namespace tardigrad {
namespace {

StopReason reason_of(Target::Kind kind) {
  switch (kind) {
    case Target::Kind::accuracy:
      return StopReason::target_accuracy;
    case Target::Kind::loss:
      return StopReason::target_loss;
    case Target::Kind::gradient_norm_sq:
      break;
  }
  return StopReason::target_gradient_norm_sq;
}

}  // namespace

std::optional<double> Target::measure_in(const Evaluation& evaluation) const {
  switch (kind) {
    case Kind::accuracy:
      return evaluation.accuracy;
    case Kind::loss:
      return evaluation.loss;
    case Kind::gradient_norm_sq:
      break;
  }
  return evaluation.gradient_norm_sq;
}

bool Target::reached_by(const Evaluation& evaluation) const {
  const std::optional<double> measure = measure_in(evaluation);
  return measure && (kind == Kind::accuracy ? *measure >= value : *measure <= value);
}

std::optional<StopReason> StopRule::reached(const RunPosition& position, const Evaluation& latest) const {
  if (limits.updates && position.updates >= *limits.updates) return StopReason::updates;
  if (limits.gradients && position.gradients >= *limits.gradients) return StopReason::gradients;
  if (limits.examples && position.examples >= *limits.examples) return StopReason::gradients;
  if (position.time >= limits.time) return StopReason::time_limit;
  for (const Target& target : targets) {
    if (target.reached_by(latest)) return reason_of(target.kind);
  }
  return std::nullopt;
}

}  // namespace tardigrad
