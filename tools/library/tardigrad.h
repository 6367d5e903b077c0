#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "runtime/methods/method.h"
#include "runtime/objective/objective.h"
#include "runtime/telemetry/telemetry.h"

/// Is tardigrad as a library: training from a program in C++, with an Objective and a Method of one's own
/// where wanted. Everything that it names is in the namespace tardigrad.

namespace tardigrad {

/// Says what is trained, and how. It owns what it is made of, so nothing has to outlive it.
struct Training {
  /// Are those of `tardigrad train`, a word each: {"--method", "dude", "--lr", "0.1", "--updates", "1000"}.
  std::vector<std::string> options;

  /// Is one's own; null: the model that --model names. Its `name` is for logs and recordings.
  std::unique_ptr<Objective> objective = nullptr;
  std::string name = "objective";

  /// Makes one's own method for so many workers and that step size; empty: the method that --method names.
  /// Its `method_name` is for logs and recordings.
  std::function<std::unique_ptr<Method>(const MethodOptions&)> method = {};
  std::string method_name = "method";

  /// Are told what happens, on a thread of the run.
  std::vector<std::shared_ptr<RunObserver>> observers = {};

  /// Ends the run as a limit does.
  std::stop_token stop = {};

  /// Lets progress and result be printed, as the command does.
  bool prints = false;
};

/// Holds what a run leaves.
struct Trained {
  std::vector<float> model;  ///< [dimension]
  RunSummary summary;
};

/// Trains, and returns when the run has ended. Throws std::invalid_argument, with the command's own line, for
/// what is wrong with the options; DeviceError for a device that fails; std::runtime_error for what else ends
/// a run.
Trained train(Training training);

/// Returns "0.1.0", by semantic versioning.
std::string version();

}  // namespace tardigrad
