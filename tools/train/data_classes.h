#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/partition.h"

namespace tardigrad {

/// A class of the data, and who has most of its training examples.
struct DataClass {
  std::string name;
  data::ClassHolder most_of_it;
};

/// The classes in the order of their labels; those without names are called by their numbers. `parts`: the
/// examples of each worker.
std::vector<DataClass> classes_of(const data::Dataset& dataset,
                                  const std::vector<std::vector<std::uint32_t>>& parts);

/// As a run record has them: [{"name": …, "worker": …, "share": …}, …].
nlohmann::ordered_json to_json(const std::vector<DataClass>& classes);

/// Reads that; throws nlohmann::json::exception for what is not of that form.
std::vector<DataClass> parse_classes(const nlohmann::json& json);

}  // namespace tardigrad
