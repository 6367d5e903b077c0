#pragma once

#include "tools/options/advise_options.h"
#include "tools/train/run_control.h"

namespace tardigrad {

/// Is `tardigrad advise`: runs methods in virtual time on the problem and the delays of a run, from its log
/// or recording, searches a step size for each, and prints how long each takes to a target, which one to
/// take, and the command that does. Throws std::invalid_argument for what the user can mend, before anything
/// is computed. After a signal that the control takes it prints no more.
void advise(const AdviseOptions& options, RunControl& control);

}  // namespace tardigrad
