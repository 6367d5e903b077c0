// What each method promises, under random numbers of workers and random delays.

#include <numeric>
#include <set>

#include "tests/runtime/methods/method_scenario.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;

class EveryMethod : public ::testing::TestWithParam<std::string> {};

/// The simulator throws where no job is in flight, no update comes, or an action makes no sense.
TEST_P(EveryMethod, KeepsGoing) {
  rc::detail::checkGTest([] {
    const Scenario scenario = any_scenario();
    Simulated run(GetParam().c_str(), scenario, any_options(GetParam(), scenario));
    for (int arrival = 0; arrival < 200; ++arrival) {
      run.simulator.next();
      RC_ASSERT(run.simulator.outstanding() > 0);
    }
    run.simulator.run(run.simulator.updates().size() + 1);
  });
}

INSTANTIATE_TEST_SUITE_P(Methods, EveryMethod, ::testing::ValuesIn(method_names()), method_title);

RC_GTEST_PROP(RingleaderProperty, EveryWorkerMakesOneUpdateARound, ()) {
  const Scenario scenario = any_scenario();
  Simulated run("ringleader", scenario);
  const auto workers = static_cast<std::size_t>(scenario.workers);
  run.simulator.run(4 * workers);
  for (std::size_t round = 0; round < 4; ++round) {
    std::set<int> updaters;
    for (std::size_t i = 0; i < workers; ++i) {
      updaters.insert(run.simulator.updates()[round * workers + i].worker);
    }
    RC_ASSERT(updaters.size() == workers);
  }
}

RC_GTEST_PROP(RingleaderProperty, ThrowsNothingAwayAndNobodyIdles, ()) {
  const Scenario scenario = any_scenario();
  Simulated run("ringleader", scenario);
  while (std::ssize(run.simulator.updates()) < 4 * scenario.workers) {
    run.simulator.next();
    RC_ASSERT(run.simulator.outstanding() == scenario.workers);
  }
  RC_ASSERT(run.simulator.discarded() == 0);
}

/// The tables of the paper, with sums and counts and without lazy folds.
class SumsAndCounts {
 public:
  explicit SumsAndCounts(int workers) : main_(static_cast<std::size_t>(workers)), next_(main_) {}

  void follow(const SimulatedArrival& arrived) {
    for (const Action& action : arrived.actions) {
      if (const auto* fold = std::get_if<FoldRow>(&action)) {
        auto& table = fold->table == Table::main ? main_ : next_;
        Row& row = table.at(static_cast<std::size_t>(fold->worker));
        row.sum += arrived.gradient[0];
        row.oldest = row.count == 0 ? arrived.arrival.version : std::min(row.oldest, arrived.arrival.version);
        ++row.count;
      }
      if (std::holds_alternative<SwapTables>(action)) {
        main_ = std::exchange(next_, std::vector<Row>(main_.size()));
      }
    }
  }

  /// 1/n Σ G_i/b_i; infinite or NaN if a row is empty.
  double direction() const {
    double sum = 0;
    for (const Row& row : main_) sum += row.sum / row.count;
    return sum / static_cast<double>(main_.size());
  }

  std::uint64_t oldest_version() const {
    return std::min_element(main_.begin(), main_.end(),
                            [](const Row& a, const Row& b) { return a.oldest < b.oldest; })
        ->oldest;
  }

  void clear() { main_.assign(main_.size(), {}); }

 private:
  struct Row {
    double sum = 0;
    double count = 0;
    std::uint64_t oldest = 0;  // version
  };
  std::vector<Row> main_;
  std::vector<Row> next_;
};

/// Means folded in one by one, in a table of double, against sums divided once: some hundred roundings of
/// values up to 8.
constexpr double rounding = 1e-11;

RC_GTEST_PROP(RingleaderProperty, StepsAlongTheMeanOfRowMeansAndNoDelayExceeds2nMinus2, ()) {
  const Scenario scenario = any_scenario();
  Simulated run("ringleader", scenario);
  SumsAndCounts tables(scenario.workers);
  double x = 0;
  for (std::uint64_t updates = 0; updates < 4 * static_cast<std::uint64_t>(scenario.workers);) {
    const SimulatedArrival& arrived = run.simulator.next();
    SimulatedArrival before_swap = arrived;
    if (std::holds_alternative<SwapTables>(before_swap.actions.back())) before_swap.actions.pop_back();
    tables.follow(before_swap);
    if (count<Step>(arrived.actions) > 0) {
      RC_ASSERT(updates - tables.oldest_version() <= 2 * static_cast<std::uint64_t>(scenario.workers) - 2);
      x -= Scenario::lr * tables.direction();
      RC_ASSERT(std::abs(run.simulator.x()[0] - x) <= rounding);
      ++updates;
    }
    if (before_swap.actions.size() < arrived.actions.size()) {
      tables.follow({.arrival = {}, .gradient = {}, .actions = {SwapTables{}}});
    }
  }
}

RC_GTEST_PROP(MaleniaProperty, StepsAlongTheMeanOfRowMeans, ()) {
  const Scenario scenario = any_scenario();
  Simulated run("malenia", scenario, {.gather = any_from(0, 100, "gather")});
  SumsAndCounts tables(scenario.workers);
  double x = 0;
  while (run.simulator.updates().size() < 5) {
    const SimulatedArrival& arrived = run.simulator.next();
    tables.follow(arrived);
    RC_ASSERT(arrived.arrival.staleness == 0U);
    if (count<Step>(arrived.actions) == 0) continue;
    x -= Scenario::lr * tables.direction();
    RC_ASSERT(std::abs(run.simulator.x()[0] - x) <= rounding);
    tables.clear();
  }
}

/// Σ 1/b_i ≤ n²/S in whole numbers, multiplied by the least common multiple of all b_i.
bool harmonic_mean_reached(const std::vector<std::int64_t>& counts, std::int64_t gather) {
  if (std::count(counts.begin(), counts.end(), 0) > 0) return false;
  std::int64_t multiple = 1;
  for (const std::int64_t b : counts) multiple = std::lcm(multiple, b);
  std::int64_t sum = 0;
  for (const std::int64_t b : counts) sum += multiple / b;
  const auto n = std::ssize(counts);
  return n * n * multiple >= gather * sum;
}

RC_GTEST_PROP(MaleniaProperty, StepsAsSoonAsTheHarmonicMeanIsReachedExactly, ()) {
  // Few workers and small gathers, so that ties are common and the common multiple stays in 64 bits.
  Scenario scenario = any_scenario();
  scenario.workers = any_from(1, 6, "few workers");
  const int gather = any_from(0, 40, "gather");
  Simulated run("malenia", scenario, {.gather = gather});
  std::vector<std::int64_t> counts(static_cast<std::size_t>(scenario.workers));
  while (run.simulator.updates().size() < 5) {
    const SimulatedArrival& arrived = run.simulator.next();
    ++counts[static_cast<std::size_t>(arrived.arrival.worker)];
    const bool stepped = count<Step>(arrived.actions) > 0;
    RC_ASSERT(stepped == harmonic_mean_reached(counts, gather));
    if (stepped) counts.assign(counts.size(), 0);
  }
}

/// Gradients are multiples of n, so that ū, moved by whole numbers, is exact.
RC_GTEST_PROP(TableProperty, TheMeanIsThatOfTheRowsAtEveryUpdate, ()) {
  const char* name = *rc::gen::element("ca2fl", "dude", "ia2sgd", "mifa");
  Scenario scenario = any_scenario();
  scenario.gradient_unit = scenario.workers;
  Simulated run(name, scenario, any_options(name, scenario));
  while (run.simulator.updates().size() < 60) {
    if (count<Step>(run.simulator.next().actions) == 0) continue;
    double sum = 0;
    for (const Vector& row : run.simulator.rows()) sum += row[0];
    RC_ASSERT(run.simulator.mean()[0] * scenario.workers == sum);
  }
}

RC_GTEST_PROP(DudeProperty, GathersAsManyAsItIsTold, ()) {
  const Scenario scenario = any_scenario();
  const int gather = any_from(1, scenario.workers, "gather");
  Simulated run("dude", scenario, {.gather = gather});
  int arrivals = 0;
  while (run.simulator.updates().size() < 30) {
    ++arrivals;
    const Actions& actions = run.simulator.next().actions;
    if (count<Step>(actions) == 0) continue;
    RC_ASSERT(arrivals == (run.simulator.updates().size() == 1 ? scenario.workers : gather));
    RC_ASSERT(count<HandOver>(actions) == arrivals);
    arrivals = 0;
  }
}

RC_GTEST_PROP(RingmasterProperty, NeverAppliesAStalenessOfTheThreshold, ()) {
  const Scenario scenario = any_scenario();
  const int threshold = any_from(1, 60, "delay threshold");
  Simulated run("ringmaster", scenario, {.delay_threshold = threshold});
  for (std::size_t arrivals = 1; arrivals <= 300; ++arrivals) {
    RC_ASSERT(run.simulator.next().arrival.staleness < static_cast<std::uint64_t>(threshold));
    RC_ASSERT(run.simulator.updates().size() == arrivals);
    RC_ASSERT(run.simulator.outstanding() == scenario.workers);
  }
}

RC_GTEST_PROP(AssignmentProperty, NJobsAreOutstandingAlways, ()) {
  const Scenario scenario = any_scenario();
  Simulated run(*rc::gen::element("asgd-uniform", "asgd-shuffled"), scenario);
  for (int arrival = 0; arrival < 300; ++arrival) {
    run.simulator.next();
    RC_ASSERT(run.simulator.outstanding() == scenario.workers);
  }
}

RC_GTEST_PROP(AssignmentProperty, ShufflingIsBalancedOverEveryNDraws, ()) {
  const Scenario scenario = any_scenario();
  Simulated run("asgd-shuffled", scenario);
  for (int shuffle = 0; shuffle < 5; ++shuffle) {
    std::set<int> drawn;
    for (int i = 0; i < scenario.workers; ++i) {
      drawn.insert(std::get<HandOver>(run.simulator.next().actions.at(1)).worker);
    }
    RC_ASSERT(std::ssize(drawn) == scenario.workers);
  }
}

/// K is a power of 2 and gradients are whole: all sums are exact.
RC_GTEST_PROP(FedbuffProperty, FoldsEveryGradientExactlyOnce, ()) {
  const Scenario scenario = any_scenario();
  const int gather = 1 << any_from(0, 6, "log2 of gather");
  Simulated run("fedbuff", scenario, {.gather = gather});
  double sum = 0;
  for (std::size_t update = 1; update <= 20; ++update) {
    for (int i = 0; i < gather; ++i) sum += run.simulator.next().gradient[0];
    RC_ASSERT(run.simulator.updates().size() == update);
    RC_ASSERT(run.simulator.x()[0] == -Scenario::lr * sum / gather);
  }
  RC_ASSERT(run.simulator.discarded() == 0);
}

RC_GTEST_PROP(RennalaProperty, UsesGradientsOfTheNewestModelOnly, ()) {
  const Scenario scenario = any_scenario();
  const int gather = any_from(1, 60, "gather");
  Simulated run("rennala", scenario, {.gather = gather});
  for (std::size_t arrivals = 1; arrivals <= 300; ++arrivals) {
    RC_ASSERT(run.simulator.next().arrival.staleness == 0U);
    RC_ASSERT(run.simulator.updates().size() == arrivals / static_cast<std::size_t>(gather));
  }
}

/// Every worker makes the model move as far in a unit of time as any other: 1/τ_i steps of γ·τ_i/τ_h.
RC_GTEST_PROP(RescaledProperty, ObservedTimesLeadToTheGivenOnes, ()) {
  const Scenario scenario = any_scenario();
  std::vector<double> times(static_cast<std::size_t>(scenario.workers));
  for (std::size_t i = 0; i < times.size(); ++i) times[i] = scenario.duration(static_cast<int>(i), 0);
  testing::SimulatedProblem problem = scenario.problem();
  problem.duration = [times](int worker, std::uint64_t) {
    return times.at(static_cast<std::size_t>(worker));
  };
  const auto told = make_method("asgd-rescaled", {.workers = scenario.workers, .compute_times = times});
  const auto observing = make_method("asgd-rescaled", {.workers = scenario.workers});
  MethodSimulator a(*told, problem);
  MethodSimulator b(*observing, problem);
  a.run(700);
  b.run(700);
  // After 32 units everybody was heard of; from then on they differ by the rounding of a sum of 40.
  for (std::size_t k = 0; k < 700; ++k) {
    if (a.updates()[k].time <= 32) continue;
    RC_ASSERT(std::abs(a.updates()[k].step_size / b.updates()[k].step_size - 1) < 1e-13);
  }
}

}  // namespace
}  // namespace tardigrad
