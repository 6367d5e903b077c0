#include "runtime/delays.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <stdexcept>
#include <string_view>

#include "kernels/random.h"

namespace tardigrad {
namespace {

constexpr std::string_view truncnorm_prefix = "truncnorm:";

[[noreturn]] void refuse(const std::string& value, const std::string& expected) {
  throw std::invalid_argument(fmt::format("--compute-time {}: expected {}", value, expected));
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::optional<double> parse_number(std::string_view text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(number)) return std::nullopt;
  return number;
}

bool is_list(const std::string& value) {
  return value.find_first_not_of("0123456789.,eE+-") == std::string::npos && !value.empty();
}

std::vector<double> parse_list(const std::string& value, int workers) {
  std::vector<double> durations;
  for (const std::string_view part : split(value, ',')) {
    const std::optional<double> number = parse_number(part);
    if (!number || *number <= 0) refuse(value, fmt::format("positive times, found '{}'", part));
    durations.push_back(*number);
  }
  if (std::ssize(durations) != workers) {
    refuse(value, fmt::format("one time for each of the {} workers, found {}", workers, durations.size()));
  }
  return durations;
}

/// Rejection from the normal distribution, so any mean ≥ 0 takes two tries a draw at most on average.
std::vector<double> draw_truncnorm(const std::string& value, int workers, std::uint64_t seed) {
  const auto parts = split(std::string_view(value).substr(truncnorm_prefix.size()), ':');
  const auto mean = parse_number(parts[0]);
  const auto std = parts.size() == 2 ? parse_number(parts[1]) : std::nullopt;
  if (!mean || !std || *mean < 0 || *std < 0 || (*mean == 0 && *std == 0)) {
    refuse(value, "truncnorm:MEAN:STD with numbers of at least 0, not both 0");
  }
  std::vector<double> durations;
  for (int worker = 0; worker < workers; ++worker) {
    Random random(seed, Purpose::delay, static_cast<std::uint64_t>(worker));
    double time = 0;
    while (time <= 0) time = *mean + *std * random.normal();
    durations.push_back(time);
  }
  return durations;
}

}  // namespace

std::optional<int> Delays::list_length(const std::string& value) {
  if (!is_list(value)) return std::nullopt;
  return static_cast<int>(std::count(value.begin(), value.end(), ',')) + 1;
}

Delays Delays::parse(const std::string& value, int workers, std::uint64_t seed) {
  Delays delays;
  if (value == "measured") return delays;
  if (std::string_view(value).starts_with(truncnorm_prefix)) {
    delays.durations_ = draw_truncnorm(value, workers, seed);
  } else if (is_list(value)) {
    delays.durations_ = parse_list(value, workers);
  } else {
    refuse(value, "measured, a list such as 1,2,40, or truncnorm:MEAN:STD");
  }
  return delays;
}

double Delays::duration(int worker, std::uint64_t) const {
  return durations_.at(static_cast<std::size_t>(worker));
}

}  // namespace tardigrad
