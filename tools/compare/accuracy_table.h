#pragma once

#include <string>
#include <vector>

namespace tardigrad {

/// Is `tardigrad table`: prints accuracy (or loss, where there is no accuracy) over time of runs side by
/// side, from their logs, and when each reached what all of them reached. Throws std::invalid_argument naming
/// the file, and the line, that is not a log.
void print_accuracy_table(const std::vector<std::string>& log_files);

/// Is `tardigrad table --csv`: prints all evaluations of the runs as evaluations_csv() makes them. Throws
/// likewise.
void print_csv(const std::vector<std::string>& log_files);

}  // namespace tardigrad
