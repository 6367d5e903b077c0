#include "runtime/coordinator/run_options.h"

namespace tardigrad {

StopRule RunOptions::stop_rule() const {
  StopRule rule{.limits = limits(), .targets = {}};
  const auto add = [&rule](Target::Kind kind, const std::optional<double>& value) {
    if (value) rule.targets.push_back({kind, *value});
  };
  add(Target::Kind::accuracy, target_accuracy);
  add(Target::Kind::loss, target_loss);
  add(Target::Kind::gradient_norm_sq, target_gradient_norm_sq);
  return rule;
}

}  // namespace tardigrad
