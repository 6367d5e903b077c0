#pragma once

#include <charconv>
#include <cmath>
#include <cstddef>
#include <optional>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <vector>

namespace tardigrad {

/// Returns the number that the whole of `text` is, or nothing if it is none, out of range, or not finite.
template <typename Number>
std::optional<Number> parse_number(std::string_view text) {
  Number number{};
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || stopped != end) return std::nullopt;
  if constexpr (std::is_floating_point_v<Number>) {
    if (!std::isfinite(number)) return std::nullopt;
  }
  return number;
}

/// Returns the parts of `text` between separators: one or more, each of which may be empty.
inline std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

/// Returns the numbers between commas, whole ones from `least` to `most`; nothing if one is none.
template <typename Whole>
std::optional<std::vector<Whole>> parse_whole_numbers(std::string_view text, Whole least, Whole most) {
  std::vector<Whole> numbers;
  for (const std::string_view part : split(text, ',')) {
    const auto number = parse_number<Whole>(part);
    if (!number || *number < least || *number > most) return std::nullopt;
    numbers.push_back(*number);
  }
  return numbers;
}

}  // namespace tardigrad
