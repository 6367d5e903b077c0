#pragma once

#include <map>
#include <optional>
#include <vector>

#include "tools/compare/comparison_table.h"

namespace tardigrad {

/// Looks for the best step size of a method: by factors of four from a first guess until what was tried on
/// either side of the best is worse, then halfway to those, on a scale of logarithms.
class StepSearch {
 public:
  StepSearch(std::string method, double first) : method_(std::move(method)), first_(first) {}

  const std::string& method() const { return method_; }

  /// Returns the step sizes to try next, ascending; none where the search is over.
  std::vector<double> wanted(const std::optional<Target>& target) const;

  /// Takes what came of a step size.
  void add(double lr, RunResult result) { tried_.insert_or_assign(lr, std::move(result)); }

  /// Returns the best of those tried (best_step_size()), and the one below it where there is one, ascending;
  /// none where no run has ended.
  std::vector<double> finalists(const std::optional<Target>& target) const;

  /// Returns what came of a step size, if it was tried.
  const RunResult* result(double lr) const;

 private:
  std::optional<std::size_t> best(const std::optional<Target>& target) const;

  std::string method_;
  double first_;
  std::map<double, RunResult> tried_;
};

}  // namespace tardigrad
