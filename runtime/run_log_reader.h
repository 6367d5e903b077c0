#pragma once

#include <cstdint>
#include <fstream>
#include <string>

#include "runtime/telemetry.h"

namespace tardigrad {

/// A file of RunLog, told again to observers, in its order: what draws a run draws its log, too.
class RunLogReader {
 public:
  /// Throws std::invalid_argument naming the file if it cannot be read or does not begin with a run record.
  explicit RunLogReader(std::string path);

  /// The run record, as a JSON object.
  const std::string& run_json() const { return run_json_; }

  /// Calls the observer for each record. Once. What the log leaves out (LogDetail) is not told; on_arrival
  /// and on_discarded_over never are. The log may end early, in the middle of a line, too: then the run was
  /// killed, or goes on. Throws std::invalid_argument naming file and line.
  void tell(RunObserver& observer);

 private:
  std::string path_;
  std::ifstream file_;
  std::uint64_t line_ = 0;
  std::string run_json_;
};

}  // namespace tardigrad
