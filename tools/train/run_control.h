#pragma once

#include <stop_token>
#include <utility>

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

/// Is the control of a caller that ends a run by a token, and asks for no checkpoints.
class TokenControl final : public RunControl {
 public:
  explicit TokenControl(std::stop_token stop) : stop_(std::move(stop)) {}
  std::stop_token run() override { return stop_; }
  CheckpointRequest& checkpoint_request() override { return checkpoint_request_; }

 private:
  std::stop_token stop_;
  CheckpointRequest checkpoint_request_;
};

}  // namespace tardigrad
