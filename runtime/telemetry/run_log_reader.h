#pragma once

#include <istream>
#include <memory>
#include <string>
#include <vector>

#include "runtime/telemetry/run_log.h"
#include "runtime/telemetry/telemetry.h"

namespace tardigrad {

/// Throws std::invalid_argument where stdin, a pipe or a device is among the files of logs twice: what has
/// been read of it is gone.
void require_streams_once(const std::vector<std::string>& files);

/// Reads a file of RunLog, with the older parts beside it, and tells it again to observers, in its order:
/// what draws a run draws its log, too. "-" is stdin; that, a pipe or a device is told once, and may hold the
/// parts of a log behind each other, the oldest first.
class RunLogReader {
 public:
  /// Opens a log. Throws std::invalid_argument naming the file if it cannot be read or does not begin with a
  /// run record.
  explicit RunLogReader(const std::string& path);

  /// Returns the file's name in messages.
  const std::string& name() const { return name_; }

  /// Returns the log's files that are there, the oldest part first; none of a stream.
  const std::vector<std::string>& files() const { return parts_; }

  /// Returns the run record, as a JSON object, without what RotatingJsonLines adds to it of its parts.
  const std::string& run_json() const { return run_json_; }

  /// Calls the observer for each record. What the log leaves out (LogDetail) is not told, nor what was in
  /// parts that are gone, except for some of the evaluations; on_arrival and on_discarded_over never are. The
  /// log may end early, in the middle of a line, too: then the run was killed, or goes on. Throws
  /// std::invalid_argument naming file and line.
  ///
  /// Records of more detail than `most` are passed over unread, which takes a small part of the time.
  void tell(RunObserver& observer, LogDetail most = LogDetail::jobs);

  /// Tells whether all parts are there, from the run's first: only then no evaluation can be missing.
  bool has_all_parts() const { return has_all_parts_; }

 private:
  std::string name_;
  std::shared_ptr<std::istream> stream_;  // null where a file has it
  std::string first_line_;
  std::vector<std::string> parts_;  // of a file, the oldest first
  std::string run_json_;
  bool has_all_parts_ = false;
};

}  // namespace tardigrad
