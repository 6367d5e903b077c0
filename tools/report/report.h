#pragma once

#include <string>
#include <vector>

namespace tardigrad {

/// Is `tardigrad report`: draws runs, from their logs, on one page that needs nothing besides. Throws
/// std::invalid_argument naming the file that is not a log, that does not go with the others (another clock)
/// or that cannot be written; `flag` is the option that names the page. A log may be "-" or a pipe
/// (RunLogReader), and so may the page (output_path.h).
void write_report(const std::vector<std::string>& log_files, const std::string& page_file,
                  const char* flag = "--output");

}  // namespace tardigrad
