#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "runtime/file.h"

namespace tardigrad {

/// A file of JSON objects, one a line, the first of them a `run` record with the configuration.
class JsonLines {
 public:
  /// `run_json`: the members of the run record, as a JSON object. Throws std::invalid_argument naming `flag`
  /// and the path if the file cannot be opened.
  JsonLines(const char* flag, const std::filesystem::path& path, const std::string& run_json);

  void write(const std::string& json);
  std::uint64_t bytes() const { return bytes_; }  ///< written so far
  void flush() { std::fflush(file_.get()); }

 private:
  File file_;
  std::uint64_t bytes_ = 0;
};

}  // namespace tardigrad
