#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "runtime/base/output_file.h"

namespace tardigrad {

/// Writes a file of JSON objects, one a line, the first of them a `run` record with the configuration.
/// Trouble with the file never throws (OutputFile); where lines are left out stands {"event":"gap","lines":N}
/// instead.
class JsonLines {
 public:
  /// Begins the file. `run_json` is an object with the members of the run record. Throws
  /// std::invalid_argument naming `flag` and the path if the file cannot be opened.
  JsonLines(const char* flag, const std::filesystem::path& path, const std::string& run_json,
            OutputFile::Limits limits = {});

  /// Goes on behind the lines that the file has. Throws as the other constructor does.
  JsonLines(const char* flag, const std::filesystem::path& path, OutputFile::Limits limits = {});

  /// Writes a line, and returns false where it is left out. Lines that matter are the last to be.
  bool write(const std::string& json, bool matters = false);

  std::uint64_t bytes() const { return bytes_; }  ///< of the file, with what is still to be written
  bool flush() { return file_.flush(); }
  void begin_sync() { file_.begin_sync(); }
  void tell(const std::string& text) const { file_.tell(text); }

 private:
  OutputFile file_;
  std::uint64_t bytes_ = 0;
  std::uint64_t left_out_ = 0;  // lines, since the last that was taken
};

}  // namespace tardigrad
