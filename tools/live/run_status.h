#pragma once

#include <optional>
#include <string>

#include "tools/live/live_page.h"
#include "tools/live/run_metrics.h"

namespace tardigrad {

/// Returns the metrics for Prometheus (Exposition). `run_json` is the run record, for the labels of
/// tardigrad_run_info.
std::string metrics_text(const std::string& run_json, const RunValues& values,
                         std::optional<double> checkpoint_age_s, RunValues::SteadyClock::time_point now);

/// Returns a JSON object as the answer, with status 503 where no worker is left, or nothing has come for
/// `stall_patience`.
LiveText::Answer health_answer(const RunValues& values, RunValues::SteadyClock::time_point now);

/// Returns how long a run may be silent: a minute, but ten times as long as it ever was, and before the first
/// gradient ten minutes.
RunValues::SteadyClock::duration stall_patience(const RunValues& values);

}  // namespace tardigrad
