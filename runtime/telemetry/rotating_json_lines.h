#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "runtime/telemetry/json_lines.h"
#include "runtime/telemetry/log_parts.h"

namespace tardigrad {

/// Says when a log goes on in a new file, and how much of it is kept.
struct LogRotation {
  std::uint64_t file_bytes = std::uint64_t{256} << 20;  ///< of a file, at most
  int files = 4;                                        ///< at most, the newest counted
};

/// Writes JSON lines in parts: what does not fit into `FILE` any more goes on in a new one, after `FILE` has
/// been renamed `FILE.1`, what that was `FILE.2`, and so on; the oldest goes. Each part begins with the run
/// record, to which it adds "log", the name of `FILE`; "part", counted from 0; and "repeated", how many lines
/// after it repeat what older parts hold. Where no new part can be begun the old one grows beyond its size;
/// that is said once, and tried again. A stream (output_path.h) has one part, of any size. Nothing but the
/// constructor throws.
class RotatingJsonLines {
 public:
  /// Removes the parts that an older log of that name has left, unless it goes on with one of them. Throws
  /// std::invalid_argument naming `flag` and the path if the file cannot be opened, or if a part would
  /// replace a file that is none.
  RotatingJsonLines(const char* flag, std::filesystem::path path, const std::string& run_json,
                    LogRotation rotation, OutputFile::Limits limits = {}, LogBeginning beginning = {});

  void write(const std::string& json);

  /// Writes a line that is the last to be left out where the file cannot be written.
  void write_that_matters(const std::string& json);

  /// Writes a line that matters, which later parts repeat. Such lines take an eighth of a part at most: then
  /// every other is repeated, every fourth, …, and the latest.
  void write_lasting(const std::string& json);

  void flush() { file_->flush(); }
  void begin_sync() { file_->begin_sync(); }

 private:
  std::unique_ptr<JsonLines> begin(const LogBeginning& beginning);
  std::unique_ptr<JsonLines> begin_part();
  void keep(const std::string& lasting);
  void rotate();
  void rename_parts();

  const char* flag_;
  std::filesystem::path path_;
  std::string run_json_;
  LogRotation rotation_;
  bool rotates_;
  OutputFile::Limits limits_;
  Trouble trouble_;  // with new parts
  std::uint64_t part_ = 0;
  std::vector<std::string> lasting_;
  std::uint64_t lasting_bytes_ = 0;
  std::uint64_t lasting_count_ = 0;   // so far
  std::uint64_t lasting_stride_ = 1;  // every how many-th of them is there
  std::string latest_;                // of them
  std::uint64_t full_bytes_ = 0;      // of the part, from which the next begins
  std::unique_ptr<JsonLines> file_;
};

}  // namespace tardigrad
