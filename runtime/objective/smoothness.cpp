#include "runtime/objective/smoothness.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <vector>

namespace tardigrad {
namespace {

constexpr int iterations = 10;
constexpr double step = 1e-3;  // of the length of the model

template <typename Value>
double norm(std::span<const Value> x) {
  return std::sqrt(std::transform_reduce(x.begin(), x.end(), 0.0, std::plus<>(), [](Value value) {
    return static_cast<double>(value) * static_cast<double>(value);
  }));
}

/// Moves x [d] by `length` along `direction` [d]; returns how far it went, after rounding.
double displace(std::span<const float> x, const std::vector<double>& direction, double length,
                std::span<float> moved) {
  const double scale = length / norm<double>(direction);
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    moved[i] = static_cast<float>(static_cast<double>(x[i]) + scale * direction[i]);
    const double difference = static_cast<double>(moved[i]) - static_cast<double>(x[i]);
    sum += difference * difference;
  }
  return std::sqrt(sum);
}

}  // namespace

std::optional<double> estimate_smoothness(Objective& objective, std::span<const float> model,
                                          const BreakOff& break_off) {
  std::vector<double> gradient(model.size());
  if (!objective.sample_gradient(model, gradient, break_off)) return std::nullopt;
  const double slope = norm<double>(gradient);
  if (!(slope > 0) || !std::isfinite(slope)) return std::nullopt;  // there is no direction to go in
  const double length = step * std::max(norm<float>(model), 1.0);
  std::vector<double> difference = gradient;  // much of it lies where curvature is large
  std::vector<double> there(model.size());
  std::vector<float> moved(model.size());
  double curvature = 0;
  for (int i = 0; i < iterations; ++i) {
    const double distance = displace(model, difference, length, moved);
    objective.sample_gradient(moved, there, break_off);
    std::ranges::transform(there, gradient, difference.begin(), std::minus<>());
    curvature = norm<double>(difference) / distance;
    if (!(curvature > 0) || !std::isfinite(curvature)) return std::nullopt;
  }
  return curvature;
}

}  // namespace tardigrad
