#include "tools/advise/step_search.h"

#include <gmock/gmock.h>

#include <cmath>
#include <functional>
#include <limits>
#include <set>

namespace tardigrad {
namespace {

using ::testing::DoubleEq;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

const Target target{Target::Kind::loss, 0.1};

/// A run that takes so long to the target; one that fails where it takes for ever.
RunResult run_of(double time) {
  RunResult result;
  result.outcome = std::isfinite(time) ? RunResult::Outcome::complete : RunResult::Outcome::failed;
  if (std::isfinite(time)) result.at_target.emplace().time = time;
  return result;
}

/// Searches until the search is over; returns all that was tried.
std::set<double> search(StepSearch& search, const std::function<double(double)>& time_of) {
  std::set<double> tried;
  for (auto wanted = search.wanted(target); !wanted.empty(); wanted = search.wanted(target)) {
    for (const double lr : wanted) {
      EXPECT_TRUE(tried.insert(lr).second) << lr;
      search.add(lr, run_of(time_of(lr)));
    }
  }
  return tried;
}

/// Least at `best`, and without end above ten times that.
std::function<double(double)> valley(double best) {
  return [best](double lr) {
    return lr > 10 * best ? std::numeric_limits<double>::infinity() : 1 + std::pow(std::log(lr / best), 2);
  };
}

TEST(StepSearch, FindsTheBestByFactorsOfTwoOnEitherSide) {
  for (const double best : {0.001, 0.012, 0.1, 0.9, 30.0}) {
    StepSearch steps("dude", 0.1);
    const auto tried = search(steps, valley(best));
    const double found = steps.finalists(target).back();
    EXPECT_LE(std::abs(std::log2(found / best)), 0.5 + 1e-9) << best;
    EXPECT_LE(tried.size(), 10) << best;
  }
}

TEST(StepSearch, BeginsAroundTheFirstGuess) {
  const StepSearch steps("dude", 0.1);
  EXPECT_THAT(steps.wanted(target), ElementsAre(DoubleEq(0.025), DoubleEq(0.1), DoubleEq(0.4)));
  EXPECT_THAT(steps.finalists(target), IsEmpty());
}

TEST(StepSearch, TheFinalistsAreTheBestAndTheOneBelow) {
  StepSearch steps("dude", 0.1);
  search(steps, valley(0.1));
  EXPECT_THAT(steps.finalists(target), ElementsAre(DoubleEq(0.05), DoubleEq(0.1)));
}

TEST(StepSearch, EndsWhereTheBestIsForEverAtAnEdge) {
  StepSearch steps("dude", 0.1);
  EXPECT_LE(search(steps, [](double lr) { return 1 / lr; }).size(), 16);
  StepSearch failing("dude", 0.1);
  EXPECT_LE(search(failing, [](double) { return std::numeric_limits<double>::infinity(); }).size(), 16);
}

TEST(StepSearch, EndsWhereNoStepSizeMakesADifference) {
  StepSearch steps("dude", 0.1);
  EXPECT_EQ(search(steps, [](double) { return 7.0; }).size(), 3);
}

}  // namespace
}  // namespace tardigrad
