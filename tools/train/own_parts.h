#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "runtime/methods/method.h"
#include "runtime/objective/objective.h"
#include "runtime/telemetry/telemetry.h"
#include "tools/options/train_options.h"

namespace tardigrad {

/// Is what a caller brings to a run of its own, as the Python package does; on the command line there is
/// none.
struct OwnParts {
  /// Makes the objective where the name of the model says that it is one's own (is_own_model); else null.
  std::function<std::unique_ptr<Objective>(const TrainOptions&)> objective = {};
  /// Makes the method where its name says so (is_own_method); else null.
  std::function<std::unique_ptr<Method>(const MethodOptions&)> method = {};
  std::vector<RunObserver*> observers = {};  ///< Told of the run besides those of the options.
  /// Tells, when the run is over, whether somebody still looks at its memory, which is then kept for ever.
  std::function<bool()> keeps_memory = {};
  /// Whether the caller shows what comes out: with --quiet no table is printed then.
  bool shows_results = false;
  /// Tells whether the log is a file of this run alone, which has nothing of before where the run is resumed.
  bool log_is_new = false;
  /// Is told what the run leaves: the names of its tensors, and the model [d].
  std::function<void(const ParameterLayout&, std::span<const float>)> take_model = {};
};

}  // namespace tardigrad
