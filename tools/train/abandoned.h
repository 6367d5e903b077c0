#pragma once

#include <memory>

namespace tardigrad {

/// Keeps something for ever, because a job that hangs may still use it. Any thread.
void abandon(std::shared_ptr<const void> used);

/// Keeps something for ever, because somebody may still look at its memory. Any thread. The program ends as
/// usual.
void keep_for_ever(std::shared_ptr<const void> seen);

/// Tells whether anything was abandoned. Then the program has to end by std::_Exit: neither may static
/// objects be destroyed while such a job goes on, nor would a GPU's driver come to its end.
bool anything_abandoned();

}  // namespace tardigrad
