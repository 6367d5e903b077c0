#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "data/dataset.h"

namespace tardigrad::data {

/// Holds labelled examples as a file names their classes.
struct NamedExamples {
  Images images;
  std::vector<std::string> class_names;  ///< of labels 0, 1, …, sorted: numbers by value, else by their text
};

/// Numbers the classes that a file names. "1", "+1" and "1.0" are one class, which is called 1.
class ClassNames {
 public:
  /// Returns the number of a class so far: that of the order in which they come. Throws std::length_error
  /// beyond most_classes.
  Label add(std::string_view name);

  /// Returns the names in their order, and renumbers the labels accordingly.
  std::vector<std::string> sort(std::vector<Label>& labels) const;

 private:
  std::vector<std::string> names_;
  std::unordered_map<std::string, Label> numbers_;
};

}  // namespace tardigrad::data
