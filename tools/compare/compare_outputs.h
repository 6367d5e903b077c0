#pragma once

#include <cstdio>
#include <span>
#include <string>
#include <vector>

#include "tools/compare/comparison_table.h"
#include "tools/compare/sweep.h"
#include "tools/options/compare_options.h"

namespace tardigrad {

/// Has the folder of logs of many runs: that of `--log-dir`; where there is none, but one is needed, a
/// temporary one, which goes with this object; else none.
class LogFolder {
 public:
  /// Makes a temporary folder where one is needed. Throws std::runtime_error where that fails.
  LogFolder(std::string log_dir, bool is_needed);
  ~LogFolder();
  LogFolder(const LogFolder&) = delete;
  LogFolder& operator=(const LogFolder&) = delete;

  /// Makes the folder of `--log-dir`. Throws std::invalid_argument where that fails.
  void make() const;

  const std::string& path() const { return path_; }  ///< empty: none
  bool is_temporary() const { return temporary_; }

 private:
  std::string path_;
  bool temporary_ = false;
};

/// Throws std::invalid_argument where `--csv` or `--report` could not be written.
void check_comparison_outputs(const CompareOptions& options);

/// Returns where a person's table goes: stdout, unless the values of `--csv -` go there.
std::FILE* table_stream(const CompareOptions& options);

/// Writes what `--csv` and `--report` ask for, from the logs of the runs that have ended: all of them, and
/// those at each method's best step size. Throws std::runtime_error where a file cannot be written.
void write_comparison_outputs(const CompareOptions& options, const Sweep& sweep,
                              std::span<const RunResult> results, const std::vector<MethodRuns>& methods,
                              const LogFolder& logs);

}  // namespace tardigrad
