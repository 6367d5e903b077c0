#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "runtime/telemetry/telemetry.h"

namespace tardigrad {

/// Returns the name of a part: `FILE.1` is the part before `FILE`, and so on; `FILE.0` is `FILE`.
std::filesystem::path older_part(const std::filesystem::path& path, std::uint64_t age);

/// Returns the line that logs begin with.
std::string run_record_line(const std::string& run_json);

/// Returns the line that logs have at a checkpoint, and that they can be cut behind.
std::string checkpoint_line(const CheckpointRecord& record);

/// Returns the parts that an older log of that name has left, but `FILE` itself. Throws std::invalid_argument
/// where one of `files` parts would replace a file that is none.
std::vector<std::filesystem::path> stale_parts(const char* flag, const std::filesystem::path& path,
                                               int files);

/// Holds what a log takes over of the run that it goes on with.
struct LogBeginning {
  std::vector<std::string> lasting;  ///< lines of the run so far that later parts repeat
  std::optional<std::uint64_t>
      part;              ///< that `FILE` is, to be written on behind its end; nothing: begins anew
  std::string run_json;  ///< its run record, without what is of the part; empty if it begins anew
  std::optional<std::string> complaint;  ///< why it begins anew
};

/// Makes the log of a run that was killed end right behind the line of a checkpoint: cuts the part that has
/// it there, removes newer parts, and renames older ones. Where no part has that line, or the log is of
/// another method or number of workers, nothing changes, and what there is of evaluations, warnings and
/// workers up to the checkpoint is the beginning of a new log. Throws std::invalid_argument naming flag and
/// path where files cannot be changed.
LogBeginning cut_log(const char* flag, const std::filesystem::path& path, int files,
                     const std::string& run_json, const CheckpointRecord& checkpoint);

/// Cuts a file that has no parts likewise. Returns whether it now begins with the run record of the run that
/// goes on, whose limits may be others, and ends behind that line; otherwise it is as it was.
bool cut_file(const char* flag, const std::filesystem::path& path, const std::string& run_json,
              const CheckpointRecord& checkpoint);

}  // namespace tardigrad
