#pragma once

#include <optional>
#include <string>

#include "runtime/checkpoint/checkpoint_folder.h"
#include "runtime/objective/objective.h"

namespace tardigrad {

// Options of a run that goes on from a checkpoint, held against those it had before; `run_json` is its run
// record.

/// Throws std::invalid_argument with the first difference if a run cannot go on from a checkpoint of another.
void check_resume(const Checkpoint& checkpoint, const std::string& run_json);

/// Where the number of workers is another one than in the checkpoint: what happens to the gradient table, and
/// what else is another with it, in a line; else nothing.
std::optional<std::string> change_of_workers(const Checkpoint& checkpoint, const std::string& run_json);

/// Where the next step is of another size than it would have been before, by --lr, its schedule, or the end
/// that it follows: both sizes, and why, in a line; else nothing.
std::optional<std::string> change_of_step_size(const Checkpoint& checkpoint, const std::string& run_json,
                                               const Objective& objective);

}  // namespace tardigrad
