#include "runtime/coordinator/learning_rate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <optional>
#include <stdexcept>
#include <string_view>

#include "runtime/base/parse_number.h"

namespace tardigrad {

double RunLimits::share_over(const RunPosition& position) const {
  double share = position.time / time;
  const auto count = [&](std::uint64_t done, const std::optional<std::uint64_t>& limit) {
    if (limit) share = std::max(share, static_cast<double>(done) / static_cast<double>(*limit));
  };
  count(position.updates, updates);
  count(position.gradients, gradients);
  count(position.examples, examples);
  return std::min(1.0, share);
}

std::uint64_t RunLimits::arrivals_left(const RunPosition& position, std::size_t examples_each) const {
  std::uint64_t least = std::numeric_limits<std::uint64_t>::max();
  const auto count = [&](std::uint64_t done, const std::optional<std::uint64_t>& limit, std::uint64_t each) {
    if (!limit) return;
    const std::uint64_t left = *limit - std::min(*limit, done);
    least = std::min(least, (left + each - 1) / each);
  };
  count(position.updates, updates, 1);
  count(position.gradients, gradients, 1);
  count(position.examples, examples, std::max<std::uint64_t>(1, examples_each));
  return least;
}

LearningRate::LearningRate(double lr, const std::string& schedule) : lr_(lr) {
  constexpr std::string_view step = "step:";
  constexpr std::string_view warmup = "warmup:";
  std::string_view text = schedule;
  if (text.starts_with(warmup)) {
    text.remove_prefix(warmup.size());
    const std::size_t plus = text.find('+');
    const auto updates = parse_number<std::uint64_t>(text.substr(0, plus));
    warmup_ = updates.value_or(0);
    text = plus == std::string_view::npos ? "constant" : text.substr(plus + 1);
    if (warmup_ == 0) text = "";  // refused below
  }
  if (text == "constant") return;
  if (text == "cosine") {
    kind_ = Kind::cosine;
    return;
  }
  if (text.starts_with(step)) {
    kind_ = Kind::step;
    const std::string_view rest = text.substr(step.size());
    const std::size_t colon = rest.find(':');
    const auto every = parse_number<std::uint64_t>(rest.substr(0, colon));
    const auto factor =
        colon == std::string_view::npos ? std::nullopt : parse_number<double>(rest.substr(colon + 1));
    if (every && *every > 0 && factor && *factor > 0) {
      every_ = *every;
      factor_ = *factor;
      return;
    }
  }
  throw std::invalid_argument(fmt::format(
      "--lr-schedule {}: expected constant, cosine, or step:EVERY:FACTOR with updates and a positive number, "
      "each also behind warmup:UPDATES+, or warmup:UPDATES alone",
      schedule));
}

double LearningRate::at(std::uint64_t version, double progress) const {
  double lr = lr_;
  if (version + 1 < warmup_) lr *= static_cast<double>(version + 1) / static_cast<double>(warmup_);
  switch (kind_) {
    case Kind::cosine:
      return lr * (1 + std::cos(std::numbers::pi * progress)) / 2;
    case Kind::step: {
      const std::uint64_t steps = version / every_;
      return lr * std::pow(factor_, static_cast<double>(steps));
    }
    case Kind::constant:
      break;
  }
  return lr;
}

}  // namespace tardigrad
