#pragma once

#include <stop_token>

#include "runtime/checkpoint/checkpoint_request.h"

namespace tardigrad {

/// Is how a command is ended from outside, and asked for checkpoints: by signals (InterruptWatch), or by
/// whoever calls it as a library.
class RunControl {
 public:
  RunControl() = default;
  RunControl(const RunControl&) = delete;
  RunControl& operator=(const RunControl&) = delete;
  virtual ~RunControl() = default;

  /// From here on there is something to save. Returns what requests a stop.
  virtual std::stop_token run() = 0;

  /// It lives as long as the control.
  virtual CheckpointRequest& checkpoint_request() = 0;
};

}  // namespace tardigrad
