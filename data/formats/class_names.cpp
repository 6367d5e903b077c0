#include "data/formats/class_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <optional>
#include <stdexcept>

#include "data/formats/number_text.h"

namespace tardigrad::data {

Label ClassNames::add(std::string_view name) {
  std::string plain(name);
  const auto known = numbers_.find(plain);
  if (known != numbers_.end()) return known->second;
  if (const auto value = parse_value(name)) plain = fmt::format("{}", *value + 0);  // and -0 is 0
  auto [place, added] = numbers_.try_emplace(plain, static_cast<Label>(names_.size()));
  if (added) {
    if (names_.size() == most_classes) {
      throw std::length_error(fmt::format("more than {} classes, expected no more", most_classes));
    }
    names_.push_back(plain);
  }
  const Label number = place->second;
  numbers_.try_emplace(std::string(name), number);  // found at once the next time
  return number;
}

std::vector<std::string> ClassNames::sort(std::vector<Label>& labels) const {
  std::vector<std::optional<double>> values;
  for (const std::string& name : names_) values.push_back(parse_value(name));
  const bool numbers = std::ranges::all_of(values, [](const auto& value) { return value.has_value(); });
  std::vector<std::size_t> order(names_.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, [&](std::size_t a, std::size_t b) {
    return numbers ? *values[a] < *values[b] : names_[a] < names_[b];
  });
  std::vector<Label> place(order.size());
  std::vector<std::string> sorted;
  for (std::size_t i = 0; i < order.size(); ++i) {
    place[order[i]] = static_cast<Label>(i);
    sorted.push_back(names_[order[i]]);
  }
  for (Label& label : labels) label = place[label];
  return sorted;
}

}  // namespace tardigrad::data
