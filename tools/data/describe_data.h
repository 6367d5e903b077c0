#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "tools/options/train_options.h"

namespace tardigrad {

/// Says who has what of a data set.
struct SharedOutData {
  std::vector<std::string> class_names;            ///< names, or numbers where they have none
  std::vector<std::vector<std::uint64_t>> counts;  ///< [workers][classes], training examples
};

/// Counts the training examples of each class that each worker has; `parts` are as data::partition() gives
/// them.
SharedOutData count_classes(const data::Dataset& dataset,
                            const std::vector<std::vector<std::uint32_t>>& parts);

/// Returns what the data are, in a line or two, and the table of workers by classes, in lines. Of more than
/// 20 workers it has the 10 with the most examples and the 10 with the fewest, and of more than 12 classes
/// only the largest ones of each worker.
std::string data_table(const data::Dataset& dataset, const SharedOutData& shared);

/// Returns a page with the picture of that table: for each worker and class the share that the class has of
/// the worker's examples. It needs nothing besides. `title` is text, and so are the names.
std::string data_page(const std::string& title, const SharedOutData& shared);

/// Is `tardigrad data`: prints the table for the run that `options` describe, before anything is trained, and
/// writes the page, unless `page_file` is empty. Throws std::invalid_argument as a run does, and where the
/// page cannot be written.
void describe_data(const TrainOptions& options, const std::string& page_file);

}  // namespace tardigrad
