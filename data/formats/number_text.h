#pragma once

#include <charconv>
#include <cmath>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

namespace tardigrad::data {

/// Returns the finite number that the whole of a text is, with or without a sign; nothing if it is none.
inline std::optional<double> parse_number(std::string_view text) {
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

/// Returns the same as a float; nothing where it is too large for one.
inline std::optional<float> parse_float(std::string_view text) {
  const auto value = parse_number(text);
  const float rounded = value ? static_cast<float>(*value) : 0;
  return value && std::isfinite(rounded) ? std::optional(rounded) : std::nullopt;
}

inline constexpr std::string_view blanks = " \t\r";

/// Returns a text without the blanks around it.
inline std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

/// Returns a text from a file as a message may show it: in quotes, in one line, and not all of a long one.
inline std::string in_quotes(std::string_view text) {
  constexpr std::size_t most = 60;
  std::string shown(text.substr(0, most));
  for (char& c : shown) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return "'" + shown + (text.size() > most ? "…'" : "'");
}

/// Takes the next line, without its end, off a text that is not empty.
inline std::string_view take_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return line;
}

}  // namespace tardigrad::data
