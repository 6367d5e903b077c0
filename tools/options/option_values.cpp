#include "tools/options/option_values.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <string_view>

#include "runtime/base/nearest_name.h"

namespace tardigrad {
namespace {

/// Seconds of "10s", "5m" or "2h", whose unit stands in it; nothing if it is no such time above 0.
std::optional<double> time_with_unit(std::string_view text) {
  if (text.empty()) return std::nullopt;
  const double unit_s = text.back() == 's' ? 1 : text.back() == 'm' ? 60 : text.back() == 'h' ? 3600 : 0;
  const auto count = parse_number<double>(text.substr(0, text.size() - 1));
  if (unit_s == 0 || !count || !(*count > 0)) return std::nullopt;
  return *count * unit_s;
}

/// The text of a list or a word, as most options take it.
std::string plain(const std::string& text) { return in_plain_spelling(text); }

}  // namespace

void refuse_value(const std::string& flag, const std::string& text, const std::string& expected) {
  throw BadValue(flag, fmt::format("{}: {} is not {}", flag, text, expected));
}

std::string number_in(const std::string& text) {
  std::string digits = plain(text);
  if (digits.starts_with('+') && !digits.starts_with("+-")) digits.erase(0, 1);
  return digits;
}

OptionType<double> number(const std::string& what, bool (*valid)(double)) {
  return {"X", [what, valid](const std::string& flag, const std::string& text) {
            const auto value = parse_number<double>(number_in(text));
            if (value && valid(*value)) return *value;
            refuse_value(flag, text, what);
          }};
}

OptionType<double> positive_number() {
  return number("a positive number", [](double value) { return value > 0; });
}

OptionType<double> number_from_0_to_1() {
  return number("a number from 0 to 1", [](double value) { return value >= 0 && value <= 1; });
}

OptionType<double> duration() {
  return {"TIME", [](const std::string& flag, const std::string& text) {
            const std::string given = number_in(text);
            const auto plain_time = parse_number<double>(given);
            if (plain_time && *plain_time > 0) return *plain_time;
            if (const auto time = time_with_unit(given)) return *time;
            refuse_value(flag, text, "a positive time such as 10, 10s, 5m or 2h");
          }};
}

OptionType<std::uint64_t> size_from(std::uint64_t least_bytes) {
  return {"SIZE",
          [least_bytes](const std::string& flag, const std::string& text) {
            constexpr std::string_view units = "kmgt";
            const std::string given = number_in(text);
            const std::size_t unit = given.empty() ? units.npos : units.find(given.back());
            const int shift = unit == units.npos ? 0 : 10 * (static_cast<int>(unit) + 1);
            const std::string_view digits =
                std::string_view(given).substr(0, given.size() - (shift == 0 ? 0 : 1));
            const auto value = parse_number<std::uint64_t>(digits);
            const bool fits = value && *value <= std::numeric_limits<std::uint64_t>::max() >> shift;
            if (fits && *value << shift >= least_bytes) return *value << shift;
            throw BadValue(flag,
                           fmt::format("{} {}: expected a size of at least {}K, such as 64K, 256M, 1G or "
                                       "plain bytes",
                                       flag, text, least_bytes >> 10));
          },
          [](const std::uint64_t& bytes) { return std::to_string(bytes); },
          [](const std::uint64_t& bytes) { return fmt::format("{}M", bytes >> 20); }};
}

OptionType<std::string> text(const std::string& values) {
  return {values, [](const std::string&, const std::string& given) { return given; }};
}

std::string chosen_word(const std::string& flag, const std::string& text,
                        const std::vector<std::string>& known) {
  std::string word = known_spelling(text, known);
  if (word.empty()) throw BadValue(flag, unknown_name_message(flag, text, known));
  return word;
}

std::string alternatives(const std::vector<std::string>& known) {
  return fmt::format("{}", fmt::join(known, "|"));
}

OptionType<std::string> words(const std::string& values) {
  return {values, [](const std::string&, const std::string& given) { return plain(given); }};
}

OptionType<std::string> name_of(const std::string& values, const std::vector<std::string>& known,
                                const std::string& readme, const std::vector<std::string>& with_arguments) {
  return {values, [=](const std::string& flag, const std::string& given) {
            const std::size_t colon = std::min(given.find(':'), given.size());
            if (colon > 0 && colon < given.size()) {
              const std::string word = known_spelling(given.substr(0, colon), with_arguments);
              if (!word.empty()) return word + given.substr(colon);
            }
            std::string name = known_spelling(given, known);
            if (!name.empty()) return name;
            throw BadValue(flag, fmt::format("{}; {} says how to add one",
                                             unknown_name_message(flag, given, known), readme));
          }};
}

Period parse_period(const std::string& flag, const std::string& text) {
  const std::string given = number_in(text);
  const std::string_view count =
      std::string_view(given).substr(0, given.size() - (given.ends_with('u') ? 1 : 0));
  if (const auto updates = parse_number<std::uint64_t>(count); updates && *updates > 0) {
    return {.updates = *updates, .text = text};
  }
  if (const auto time = time_with_unit(given)) return {.time = *time, .text = text};
  throw BadValue(
      flag, fmt::format("{} {}: expected updates such as 500 or 500u, or a time such as 30s, 5m or 2h", flag,
                        text));
}

OptionType<Period> period() {
  return {"PERIOD", parse_period, [](const Period& period) { return period.text; }};
}

OptionType<std::optional<Period>> period_or_never() {
  return {"PERIOD", parse_period,
          [](const std::optional<Period>& period) { return period.value_or(Period{}).text; }};
}

}  // namespace tardigrad
