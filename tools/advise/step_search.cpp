#include "tools/advise/step_search.h"

#include <algorithm>
#include <cstddef>

namespace tardigrad {
namespace {

constexpr double coarse = 4;
constexpr double fine = 2;
constexpr std::size_t most_tried = 16;

/// Tells whether there is room for a step size between two, whose quotient may be rounded.
bool are_apart(double smaller, double larger) { return larger > 1.1 * fine * smaller; }

/// Tells whether two runs that came to their ends have nothing that a step size is chosen by.
bool are_alike(const RunResult& one, const RunResult& other) {
  if (!one.complete() || !other.complete()) return false;
  if (one.at_target.has_value() != other.at_target.has_value()) return false;
  if (one.at_target) return one.at_target->time == other.at_target->time;
  return one.summary.final_evaluation.loss == other.summary.final_evaluation.loss;
}

}  // namespace

std::optional<std::size_t> StepSearch::best(const std::optional<Target>& target) const {
  MethodRuns runs{method_, {}};
  for (const auto& [lr, result] : tried_) runs.step_sizes.push_back({lr, std::span(&result, 1)});
  return best_step_size(runs, target);
}

std::vector<double> StepSearch::wanted(const std::optional<Target>& target) const {
  if (tried_.empty()) return {first_ / coarse, first_, first_ * coarse};
  const auto index = best(target);
  if (!index || tried_.size() >= most_tried) return {};
  const auto at = std::next(tried_.begin(), static_cast<std::ptrdiff_t>(*index));
  const auto above = std::next(at);
  if (above != tried_.end() && at == tried_.begin() && are_alike(at->second, above->second)) return {};
  if (at == tried_.begin()) return {at->first / coarse};
  if (above == tried_.end()) return {at->first * coarse};
  std::vector<double> halfway;
  if (are_apart(std::prev(at)->first, at->first)) halfway.push_back(at->first / fine);
  if (are_apart(at->first, above->first)) halfway.push_back(at->first * fine);
  return halfway;
}

std::vector<double> StepSearch::finalists(const std::optional<Target>& target) const {
  const auto index = best(target);
  if (!index) return {};
  const auto at = std::next(tried_.begin(), static_cast<std::ptrdiff_t>(*index));
  if (at == tried_.begin()) return {at->first};
  return {std::prev(at)->first, at->first};
}

const RunResult* StepSearch::result(double lr) const {
  const auto found = tried_.find(lr);
  return found == tried_.end() ? nullptr : &found->second;
}

}  // namespace tardigrad
