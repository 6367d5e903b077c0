#pragma once

#include <string>
#include <vector>

namespace tardigrad {

/// Is `tardigrad table --by-class`: prints the accuracy of each class at the last evaluation of runs side by
/// side, from their logs, and which worker has most of the class's training images, where that is one and the
/// same in all of them. Throws std::invalid_argument naming the file that is no log, or holds no such
/// accuracies.
void print_class_table(const std::vector<std::string>& log_files);

}  // namespace tardigrad
