#pragma once

#include <pybind11/pybind11.h>

#include <string>
#include <vector>

#include "tools/python/python_objective.h"

namespace tardigrad {

/// Holds what a run is made of in Python; none() stands for what the options name.
struct RunParts {
  pybind11::object objective;
  pybind11::object method;
  OnError on_error = OnError::raise;
  bool log_is_new = false;  ///< as OwnParts has it
};

/// Trains as `tardigrad train` with these words behind it does, and returns {"model": array [d], "tensors":
/// [(name, shape, offset), …], "interrupted": whether Ctrl-C ended it}. The interpreter's lock is held, and
/// given up while the engine runs; Ctrl-C ends the run as a limit would. Throws what train() does, and the
/// exceptions of callbacks.
pybind11::dict run_train(const std::vector<std::string>& words, const RunParts& parts,
                         const std::string& command_line);

/// Does the same with `tardigrad compare`, whose logs are in `--log-dir`, and whose table is printed or not.
/// Returns whether Ctrl-C ended it.
bool run_compare(const std::vector<std::string>& words, bool prints);

/// Is for the end of the interpreter: stops the runs of other threads, and waits for their ends. Where one
/// does not come, or a callback hangs, it ends the program at once, with exit code 1.
void end_runs();

}  // namespace tardigrad
