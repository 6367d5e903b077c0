#include "tools/train/data_classes.h"

#include <nlohmann/json.hpp>

namespace tardigrad {

std::vector<DataClass> classes_of(const data::Dataset& dataset,
                                  const std::vector<std::vector<std::uint32_t>>& parts) {
  std::vector<DataClass> classes;
  for (const data::ClassHolder& holder : data::class_holders(parts, dataset.train.labels, dataset.classes)) {
    classes.push_back({dataset.class_name(classes.size()), holder});
  }
  return classes;
}

nlohmann::ordered_json to_json(const std::vector<DataClass>& classes) {
  auto list = nlohmann::ordered_json::array();
  for (const DataClass& one : classes) {
    list.push_back({{"name", one.name}, {"worker", one.most_of_it.worker}, {"share", one.most_of_it.share}});
  }
  return list;
}

std::vector<DataClass> parse_classes(const nlohmann::json& json) {
  std::vector<DataClass> classes;
  for (const auto& one : json.get_ref<const nlohmann::json::array_t&>()) {
    classes.push_back({one.at("name"), {one.at("worker"), one.at("share")}});
  }
  return classes;
}

}  // namespace tardigrad
