#pragma once

#include <span>
#include <string>

#include "runtime/telemetry/telemetry.h"

namespace tardigrad {

/// The table of workers at the end of a run, for people: a row each, in lines. Of more than 20 workers it has
/// 20 rows, which say what they are: the slowest, those about the median and the fastest, by the mean time of
/// their gradients; a line behind them says how many are left out. Those whose gradients never came are
/// counted there, as they have no such time.
///
/// `time_unit`: what the run's own clock counts, "s" or "units".
std::string worker_table(std::span<const WorkerRecord> workers, const char* time_unit);

}  // namespace tardigrad
