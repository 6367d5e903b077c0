#include "data/normalise.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <span>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

#include "data/formats/number_text.h"

namespace tardigrad::data {
namespace {

/// Of each group of values that share them: a channel, or a feature.
struct Moments {
  std::vector<double> mean;
  std::vector<double> deviation;
};

bool are_rows_of_features(const ImageShape& shape) { return shape.channels == 1 && shape.height == 1; }

/// Calls visit(group, value) for every value of all examples; in each example the values of a group follow
/// each other.
template <typename Value, typename Visit>
void for_each_value(std::span<Value> values, const ImageShape& shape, std::size_t groups,
                    const Visit& visit) {
  const std::size_t of_group = shape.size() / groups;
  for (auto value = values.begin(); value != values.end();) {
    for (std::size_t group = 0; group < groups; ++group) {
      for (std::size_t i = 0; i < of_group; ++i) visit(group, *value++);
    }
  }
}

/// In two passes, so that nothing cancels.
Moments measure_values(std::span<const float> values, const ImageShape& shape, std::size_t groups) {
  const double count = static_cast<double>(values.size()) / static_cast<double>(groups);
  Moments moments{std::vector<double>(groups), std::vector<double>(groups)};
  for_each_value(values, shape, groups, [&](std::size_t group, float value) {
    moments.mean[group] += static_cast<double>(value) / count;
  });
  for_each_value(values, shape, groups, [&](std::size_t group, float value) {
    const double difference = static_cast<double>(value) - moments.mean[group];
    moments.deviation[group] += difference * difference / count;
  });
  return moments;
}

/// From how often each byte comes, so in one pass, or in none.
Moments measure_bytes(const Images& images) {
  constexpr double white = 255;
  const auto groups = static_cast<std::size_t>(images.shape.channels);
  const std::vector<std::uint64_t> counts =
      images.byte_counts.empty() ? count_bytes(images) : images.byte_counts;
  const double count = static_cast<double>(images.bytes().size()) / static_cast<double>(groups);
  Moments moments{std::vector<double>(groups), std::vector<double>(groups)};
  for (std::size_t group = 0; group < groups; ++group) {
    const auto mean_of = [&](const auto& term) {
      double sum = 0;
      for (std::size_t byte = 0; byte < kinds_of_bytes; ++byte) {
        sum += term(static_cast<double>(byte) / white) *
               static_cast<double>(counts[group * kinds_of_bytes + byte]);
      }
      return sum / count;
    };
    const double mean = mean_of([](double value) { return value; });
    moments.mean[group] = mean;
    moments.deviation[group] = mean_of([&](double value) { return (value - mean) * (value - mean); });
  }
  return moments;
}

Moments measure(const Images& images, std::size_t groups) {
  Moments moments =
      images.in_floats() ? measure_values(images.values, images.shape, groups) : measure_bytes(images);
  for (std::size_t group = 0; group < groups; ++group) {
    const double deviation = std::sqrt(moments.deviation[group]);
    const double rounding = 1e-6 * std::abs(moments.mean[group]);  // of floats that are all the same
    moments.deviation[group] = deviation > rounding ? deviation : 1;
  }
  return moments;
}

std::optional<std::vector<double>> parse_list(std::string_view text, std::size_t channels) {
  std::vector<double> numbers;
  for (const std::string_view part : split(text, ',')) {
    const auto number = parse_value(trimmed(part));
    if (!number) return std::nullopt;
    numbers.push_back(*number);
  }
  if (numbers.size() == 1) numbers.resize(channels, numbers.front());
  return numbers.size() == channels ? std::optional(numbers) : std::nullopt;
}

Moments parse_moments(const std::string& text, std::size_t channels) {
  const std::size_t colon = text.find(':');
  if (colon != text.npos) {
    auto mean = parse_list(std::string_view(text).substr(0, colon), channels);
    auto deviation = parse_list(std::string_view(text).substr(colon + 1), channels);
    const auto is_positive = [](double value) { return value > 0; };
    if (mean && deviation && std::ranges::all_of(*deviation, is_positive)) return {*mean, *deviation};
  }
  throw std::invalid_argument(
      fmt::format("normalisation '{}': expected measured, none, or MEAN:DEVIATION, the deviations above 0, "
                  "each one number or one for each of the {} channels",
                  text, channels));
}

void change(Images& images, const Moments& moments) {
  for_each_value(
      std::span(images.values), images.shape, moments.mean.size(), [&](std::size_t group, float& value) {
        value =
            static_cast<float>((static_cast<double>(value) - moments.mean[group]) / moments.deviation[group]);
      });
}

}  // namespace

std::vector<std::uint64_t> count_bytes(const Images& images) {
  const auto channels = static_cast<std::size_t>(images.shape.channels);
  std::vector<std::uint64_t> counts(channels * kinds_of_bytes);
  for_each_value(images.bytes(), images.shape, channels,
                 [&](std::size_t channel, std::uint8_t byte) { ++counts[channel * kinds_of_bytes + byte]; });
  return counts;
}

void normalise(Dataset& dataset, const std::string& how) {
  const auto channels = static_cast<std::size_t>(dataset.train.shape.channels);
  Moments moments{std::vector<double>(channels, 0), std::vector<double>(channels, 1)};
  if (how == "measured") {
    const bool by_feature = are_rows_of_features(dataset.train.shape) && dataset.train.in_floats();
    moments = measure(dataset.train, by_feature ? dataset.train.shape.size() : channels);
  } else if (how != "none") {
    moments = parse_moments(how, channels);
  }
  if (dataset.train.in_floats()) {
    for (Images* images : {&dataset.train, &dataset.test}) change(*images, moments);
    moments = {std::vector<double>(channels, 0), std::vector<double>(channels, 1)};
  }
  dataset.normalisation = {{moments.mean.begin(), moments.mean.end()},
                           {moments.deviation.begin(), moments.deviation.end()}};
}

}  // namespace tardigrad::data
