#include "runtime/telemetry/telemetry.h"

namespace tardigrad {

std::string to_string(StopReason reason) {
  switch (reason) {
    case StopReason::updates:
      return "updates";
    case StopReason::gradients:
      return "epochs";
    case StopReason::time_limit:
      return "time-limit";
    case StopReason::target_accuracy:
      return "target-accuracy";
    case StopReason::target_loss:
      return "target-loss";
    case StopReason::target_gradient_norm_sq:
      return "target-gradient-norm-sq";
    case StopReason::recording_ended:
      return "end-of-recording";
    case StopReason::interrupted:
      return "interrupted";
  }
  return "unknown";
}

std::string to_string(Warning::Kind kind) {
  switch (kind) {
    case Warning::Kind::step_size:
      return "step-size";
    case Warning::Kind::old_row:
      return "old-row";
    case Warning::Kind::speed_change:
      return "speed-change";
    case Warning::Kind::checkpoint:
      return "checkpoint";
    case Warning::Kind::not_finite:
      return "not-finite";
    case Warning::Kind::log_gap:
      return "log-gap";
  }
  return "unknown";
}

}  // namespace tardigrad
