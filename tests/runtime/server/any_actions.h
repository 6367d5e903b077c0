#pragma once

#include <algorithm>
#include <random>
#include <vector>

#include "tests/runtime/server/server_rig.h"

namespace tardigrad::testing {

/// Draws the actions of an arrival: one use of the gradient at most, as all methods have, anything around it.
/// Rows count, or not, so that 4, 2, 1 or none do: a division by 3 would not be exact.
class AnyActions {
 public:
  static constexpr int workers = 4;

  /// Corrects a mean where `corrects` says so.
  AnyActions(unsigned seed, bool averages, bool corrects = false)
      : random_(seed), averages_(averages), corrects_(corrects) {}

  Actions next() {
    Actions actions;
    if (chance(20)) hand_over(actions);
    use_gradient(actions);
    if (chance(20)) hand_over(actions);
    if (chance(15)) count_rows(actions);
    if (chance(30)) count_a_row_in_the_mean(actions);
    if (chance(10)) actions.emplace_back(ScaleMean{chance(50) ? 2 : 0.5});
    if (chance(30)) actions.emplace_back(AverageRows{});
    if (chance(60)) actions.emplace_back(Step{chance(50) ? 1 : 0.5});
    for (int i = 0; i < 3; ++i) {
      if (chance(40)) hand_over(actions);
    }
    if (chance(25)) {
      actions.emplace_back(SwapTables{});
      std::swap(main_counts_, next_counts_);
    }
    if (chance(20)) actions.emplace_back(AverageRows{});
    if (chance(20)) actions.emplace_back(Step{});
    if (chance(20)) actions.emplace_back(Discard{pick()});
    if (chance(20)) hand_over(actions);
    return actions;
  }

  /// A hand-over for which there is nothing to write.
  std::vector<bool> left_out() {
    std::vector<bool> some(8);
    for (std::size_t i = 0; i < some.size(); ++i) some[i] = chance(25);
    return some;
  }

  /// Whole numbers of at most four bits.
  Vector small_gradient() {
    Vector values(server_dimension);
    for (double& value : values) value = static_cast<double>(random_() % 17) - 8;
    return values;
  }

  Vector any_gradient(std::size_t dimension = server_dimension) {
    Vector values(dimension);
    std::normal_distribution<float> normal;
    for (double& value : values) value = static_cast<double>(normal(random_));
    return values;
  }

 private:
  bool chance(int percent) { return static_cast<int>(random_() % 100) < percent; }
  int pick() { return static_cast<int>(random_() % workers); }
  void hand_over(Actions& actions) { actions.emplace_back(HandOver{pick()}); }

  void count_rows(Actions& actions) {
    const std::size_t counting = std::vector<std::size_t>{4, 2, 1, 0}.at(random_() % 4);
    const auto first = static_cast<std::size_t>(pick());
    for (std::size_t i = 0; i < workers; ++i) {
      const std::size_t row = (first + i) % workers;
      const bool counts = i < counting;
      if (main_counts_[row] == counts) continue;
      main_counts_[row] = counts;
      actions.emplace_back(CountRow{static_cast<int>(row), counts});
    }
  }

  /// Where 2, 1 or none count, before and after.
  void count_a_row_in_the_mean(Actions& actions) {
    const int row = pick();
    const bool counts = !main_counts_[static_cast<std::size_t>(row)];
    if (std::ranges::count(main_counts_, true) > (counts ? 1 : 2)) return;
    main_counts_[static_cast<std::size_t>(row)] = counts;
    actions.emplace_back(CountRow{row, counts, true});
  }

  /// Folds a gradient into a row, which then enters the mean if it is not in it.
  void fold_and_count(Actions& actions) {
    const int row = pick();
    actions.emplace_back(FoldRow{row, 1, Table::main, false});
    if (main_counts_[static_cast<std::size_t>(row)] || std::ranges::count(main_counts_, true) > 1) return;
    main_counts_[static_cast<std::size_t>(row)] = true;
    actions.emplace_back(CountRow{row, true, true});
  }

  void correct(Actions& actions) {
    Correct correct{pick(), 0.5F, chance(30)};
    if (!main_counts_[static_cast<std::size_t>(correct.worker)]) return;
    if (chance(40)) {
      correct.keep = pick();
    } else if (!correct.restart && chance(50)) {
      correct.kept = pick();
    }
    actions.emplace_back(correct);
  }

  void use_gradient(Actions& actions) {
    if (corrects_ && chance(70)) return correct(actions);
    if (chance(10)) return fold_and_count(actions);
    const float weight = averages_ && chance(50) ? 0.5F : 1;
    switch (random_() % 5) {
      case 0:
        return;
      case 1:
        actions.emplace_back(Accumulate{0.5F, chance(50)});
        return;
      case 2:
        actions.emplace_back(FoldRow{pick(), weight, Table::next, false});
        return;
      case 3:
        actions.emplace_back(FoldRow{pick(), weight, Table::main, false});
        return;
      default:
        const int row = pick();
        actions.emplace_back(FoldRow{row, weight, Table::main, main_counts_[static_cast<std::size_t>(row)]});
    }
  }

  std::mt19937 random_;
  bool averages_;
  bool corrects_;
  std::vector<bool> main_counts_ = std::vector<bool>(workers, true);
  std::vector<bool> next_counts_ = main_counts_;
};

}  // namespace tardigrad::testing
