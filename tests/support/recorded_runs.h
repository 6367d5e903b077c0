#pragma once

#include <string>

#include "runtime/events/recording.h"
#include "tests/support/experiment.h"

namespace tardigrad::testing {

/// The run record that a recording begins with.
inline std::string run_json(const RunOptions& options) {
  return options.clock == ClockKind::wall ? R"({"clock":"wall"})" : R"({"clock":"virtual"})";
}

/// Runs and records.
inline RunSummary record(Experiment& run, const std::string& file) {
  RunRecorder recorder(file, run_json(run.options));
  run.observers = {&recorder};
  return run.go();
}

/// Does again what was recorded.
inline RunSummary replay(Experiment& run, const std::string& file) {
  Recording recording(file);
  run.replay = &recording;
  return run.go();
}

}  // namespace tardigrad::testing
