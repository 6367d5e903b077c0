// Each invariant of verification, with a method or a run that breaks it.

#include "runtime/verify/verified_method.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "tests/runtime/methods/method_scenario.h"
#include "tests/runtime/verify/broken_method.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;
using ::testing::HasSubstr;

// ---- Methods that are not ----

class VerifiedAnywhere : public ::testing::TestWithParam<std::string> {};

TEST_P(VerifiedAnywhere, HoldsUnderAnyOptionsAndLosses) {
  rc::detail::checkGTest([] {
    const Scenario scenario = troubled_scenario();
    const MethodOptions options = Simulated::complete(scenario, any_options(GetParam(), scenario));
    VerifiedMethod verified(make_method(GetParam(), options), GetParam(), options);
    MethodSimulator simulator(verified, scenario.problem());
    RandomLosses trouble(simulator, scenario);
    for (int event = 0; event < 300; ++event) trouble.next();
    RC_ASSERT(verified.checks() > 300U);
  });
}

INSTANTIATE_TEST_SUITE_P(Methods, VerifiedAnywhere, ::testing::ValuesIn(method_names()), method_title);

// ---- Methods that are broken ----

/// What befalls a run besides arrivals: losses (−1 − worker) and returns (worker), each before the arrival of
/// that number.
using Changes = std::vector<std::pair<int, int>>;

struct Mutant {
  std::string method;
  std::string name;
  const char* found;  // what verification says of it
  Broken::Spoil spoil;
  int call = 1;  // from which on it is spoiled
  MethodOptions options = {};
  Changes changes = {};
  double time_of_2 = 1.002;
};

/// Three workers, in that order again and again.
std::string verify(const Mutant& mutant) {
  MethodOptions options = mutant.options;
  options.workers = 3;
  options.lr = 0.1;
  auto broken = std::make_unique<Broken>(make_method(mutant.method, options), mutant.call, mutant.spoil);
  VerifiedMethod verified(std::move(broken), mutant.method, options);
  SimulatedProblem problem{
      .workers = 3,
      .x0 = {0},
      .lr = 0.1,
      .duration = [&](int worker,
                      std::uint64_t) { return worker == 2 ? mutant.time_of_2 : 1 + 0.001 * worker; },
      .gradient = [](int, std::uint64_t, const Vector&) { return Vector{1}; }};
  try {
    MethodSimulator simulator(verified, problem);
    for (int arrival = 0; arrival < 60; ++arrival) {
      for (const auto& [before, change] : mutant.changes) {
        if (before != arrival) continue;
        change < 0 ? simulator.lose(-1 - change) : simulator.regain(change);
      }
      simulator.next();
    }
  } catch (const VerificationError& error) {
    return error.what();
  } catch (const std::exception& error) {
    return std::string("not found in time: ") + error.what();
  }
  return "nothing found";
}

constexpr int lose_1 = -2;
constexpr int lose_2 = -3;
constexpr int regain_1 = 1;

const Mutant mutants[] = {
    // Jobs
    {"asgd", "a second step", "k grows by one", adding(Step{})},
    {"asgd", "the old model is handed over", "right before it moves on", move_to_front<HandOver>},
    {"asgd",
     "nobody goes on",
     "somebody has a job: nobody has",
     remove<HandOver>,
     1,
     {},
     {{0, lose_1}, {0, lose_2}}},
    {"asgd", "two jobs at once", "one job a worker: worker 2 has one already", adding(HandOver{2})},
    {"asgd",
     "a job for one that is lost",
     "no job for a worker that is lost: worker 1",
     adding(HandOver{1}),
     2,
     {},
     {{0, lose_1}}},
    {"asgd", "a job for nobody", "no job for a worker that is lost: worker 3", adding(HandOver{3})},
    {"rennala", "a job thrown away that there is not", "only jobs that there are are thrown away",
     [](Actions& actions) { actions.insert(actions.begin(), Discard{0}); }},
    {"asgd-uniform", "a job too many", "n jobs are outstanding: expected 3, found 4", adding(HandOver{1})},
    {"sync", "a step while others compute", "all jobs of a round start from one model",
     [](Actions& actions) {
       actions.insert(actions.end(), {Step{}, HandOver{0}});
     }},

    // Gradients, rows and means
    {"dude", "a fold is forgotten", "no gradient that arrives is thrown away", remove<FoldRow>, 7},
    {"dude", "a fold is done twice", "a gradient is used once",
     [](Actions& actions) { actions.insert(actions.begin(), actions.front()); }},
    {"dude", "a fold behind its step", "used before the step", move_to_front<Step>, 7},
    {"dude", "another worker's row", "goes into its worker's row: found row 2",
     [](Actions& actions) { change<FoldRow>(actions, [](FoldRow& fold) { fold.worker = 2; }); }},
    {"dude", "a table it does not keep", "folds go into tables that are kept",
     [](Actions& actions) { change<FoldRow>(actions, [](FoldRow& fold) { fold.table = Table::next; }); }},
    {"dude", "a sum beside the rows", "sums go into a mean without rows",
     [](Actions& actions) { actions.front() = Accumulate{}; }},
    {"dude", "a step without a gradient of everybody", "rows that count in a step are filled: 2 of 3",
     adding(Step{})},
    {"dude", "tables that are not two", "exchanged where there are two", adding(SwapTables{})},
    {"asgd", "a step without a gradient", "a step needs a gradient", adding(Step{}), 1, {}, {{0, lose_1}}},
    {"ringleader", "a mean that was not set anew", "it is not that since a fold", remove<AverageRows>},
    {"dude",
     "a row that does not count moves the mean",
     "only rows that count move the mean",
     [](Actions& actions) { change<FoldRow>(actions, [](FoldRow& fold) { fold.update_mean = true; }); },
     1,
     {.lost_rows = LostRows::drop},
     {{7, lose_1}, {9, regain_1}}},
    {"dude",
     "a mean that lags behind",
     "the mean follows the rows at once",
     remove<AverageRows>,
     1,
     {.lost_rows = LostRows::drop},
     {{7, lose_1}}},
    {"dude",
     "a row that should not count",
     "row 1 should not count, and does",
     remove<CountRow>,
     1,
     {.lost_rows = LostRows::drop},
     {{7, lose_1}}},
    {"mifa",
     "a row left out for no reason",
     "row 1 should count, and does not",
     [](Actions& actions) {
       actions.insert(actions.begin(), {CountRow{1, false}, AverageRows{}});
     },
     9,
     {},
     {{7, lose_1}}},
    {"malenia",
     "the row of one that is lost",
     "row 1 is of one that is lost",
     remove<CountRow>,
     1,
     {},
     {{8, lose_1}}},
    {"sync", "a mean that is not scaled", "add up to 0.66", remove<ScaleMean>, 1, {}, {{1, lose_1}}},

    // Decisions
    {"asgd", "a shorter step", "asgd should: step of scale 1, hand over 0; it did: step of scale 0.5",
     [](Actions& actions) { change<Step>(actions, [](Step& step) { step.scale = 0.5; }); }},
    {"asgd", "a step that is no number", "it did: step of scale nan",
     [](Actions& actions) {
       change<Step>(actions, [](Step& step) { step.scale = std::numeric_limits<double>::quiet_NaN(); });
     }},
    {"asgd", "a job thrown away", "it did: step of scale 1, discard 1, hand over 0 1",
     [](Actions& actions) {
       actions.insert(actions.end(), {Discard{1}, HandOver{1}});
     }},
    {"asgd-delay-adaptive",
     "full steps",
     "asgd-delay-adaptive should: step of scale 0.5",
     [](Actions& actions) { change<Step>(actions, [](Step& step) { step.scale = 1; }); },
     1,
     {.delay_threshold = 1}},
    {"asgd-delay-adaptive",
     "full steps above the bound",
     "asgd-delay-adaptive should: step of scale 0.01",
     [](Actions& actions) { change<Step>(actions, [](Step& step) { step.scale = 1; }); },
     1,
     {.delay_threshold = 1, .smoothness = 100}},
    {"asgd-rescaled", "steps a little off", "asgd-rescaled should: step of scale",
     [](Actions& actions) { change<Step>(actions, [](Step& step) { step.scale *= 1.001; }); }},
    {"asgd-shuffled", "one worker alone", "draws each worker once in n draws: one was drawn 2 times",
     [](Actions& actions) { change<HandOver>(actions, [](HandOver& to) { to.worker = 0; }); }},
    {"asgd-shuffled",
     "one worker alone after a loss",
     "one was drawn 3 times, another 0",
     [](Actions& actions) { change<HandOver>(actions, [](HandOver& to) { to.worker = 0; }); },
     1,
     {},
     {{0, lose_1}}},
    {"ringmaster",
     "stale jobs that go on",
     "discard 2, hand over 1 2; it did: step of scale 1, hand over 1",
     [](Actions& actions) {
       remove<Discard>(actions);
       actions.resize(2);
     },
     1,
     {.delay_threshold = 2}},
    {"sync", "a gradient that counts twice",
     "first of a sum of weight 0.33333334; it did: first of a sum "
     "of weight 0.6",
     [](Actions& actions) { change<Accumulate>(actions, [](Accumulate& sum) { sum.weight *= 2; }); }},
    {"sync", "a round without everybody",
     "hand over 0 1 2; it did: sum of weight 0.33333334, step of scale 1, "
     "hand over 0 1",
     [](Actions& actions) {
       if (actions.size() > 2) actions.pop_back();
     }},
    {"sync",
     "no step where the last one is lost",
     "sync should: step of scale 1, hand over 0 1; it did: hand over 0 1",
     [](Actions& actions) { remove<Step>(actions); },
     3,
     {},
     {{2, lose_2}}},
    {"mifa", "a round without a step", "mifa should: fold of weight 1 into row 2 and the mean, step",
     remove<Step>},
    {"mifa", "a second gradient in a round",
     "mifa should: fold of weight 1 into row 0 and the mean; it did: ", adding(HandOver{0})},
    {"fedbuff",
     "a sum that goes on",
     "fedbuff should: first of a sum of weight 0.5",
     [](Actions& actions) { change<Accumulate>(actions, [](Accumulate& sum) { sum.restart = false; }); },
     3,
     {.gather = 2}},
    {"fedbuff",
     "no step",
     "fedbuff should: sum of weight 0.5, step of scale 1",
     remove<Step>,
     1,
     {.gather = 2}},
    {"msync",
     "a round that waits for all",
     "msync should: sum of weight 0.5, step of scale 1, discard 2, hand over 0 1 2",
     remove<Step>,
     2,
     {.gather = 2}},
    {"msync",
     "a round that waits for more",
     "msync should: first of a sum of weight 0.5",
     [](Actions& actions) { change<Accumulate>(actions, [](Accumulate& sum) { sum.weight = 1.0F / 3; }); },
     1,
     {.gather = 2}},
    {"ca2fl",
     "a row of this buffer",
     "ca2fl should: correction of weight 0.25 by row 0 as it was kept, step",
     [](Actions& actions) { change<Correct>(actions, [](Correct& one) { one.kept.reset(); }); },
     1,
     {.gather = 4}},
    {"ca2fl", "a correction that goes on",
     "ca2fl should: first correction of weight 0.1 by row 0, which is kept",
     [](Actions& actions) { change<Correct>(actions, [](Correct& one) { one.restart = false; }); }},
    {"ca2fl",
     "a correction that is no mean",
     "the weights of its gradients add up to 2",
     [](Actions& actions) { change<Correct>(actions, [](Correct& one) { one.weight *= 2; }); },
     1,
     {.gather = 1}},
    {"aced",
     "a row that is too old",
     "no gradient in a step is older than 2 updates: one is 3 old",
     remove<CountRow>,
     4,
     {.delay_threshold = 2},
     {},
     10},
    {"aced", "a row that is not old", "row 1 should count, and does not",
     [](Actions& actions) {
       actions.insert(actions.begin(), CountRow{1, false, true});
     },
     4},
    {"rennala", "stale jobs that go on", "discard 0 1, hand over 0 1 2",
     [](Actions& actions) {
       if (std::erase_if(actions, [](const Action& one) { return std::holds_alternative<Discard>(one); }) >
           0) {
         actions.erase(actions.end() - 3, actions.end() - 1);
       }
     }},
    {"dude", "an update too early",
     "dude should: fold of weight 1 into row 0 and the mean; it did: fold of "
     "weight 1 into row 0 and the mean, hand over 0",
     adding(HandOver{0})},
    {"dude", "one that is not restarted with the others", "hand over 0 1 2; it did",
     [](Actions& actions) {
       if (actions.size() > 2) actions.pop_back();
     }},
    {"ia2sgd", "an update in the warm-up", "rows that count in a step are filled",
     [](Actions& actions) { actions.insert(actions.begin() + 1, Step{}); }, 2},
    {"ia2sgd", "no update when it is warm", "ia2sgd should: fold of weight 1 into row 0 and the mean, step",
     remove<Step>},
    {"malenia", "another weight",
     "malenia should: fold of weight 1 into row 0, hand over 0; it did: fold of "
     "weight 0.5",
     [](Actions& actions) { change<FoldRow>(actions, [](FoldRow& fold) { fold.weight = 0.5F; }); }},
    {"malenia",
     "a round that ends too early",
     "malenia should: fold of weight 1 into row 2, hand over 2",
     [](Actions& actions) {
       if (actions.back() != Action(HandOver{2})) return;
       actions.pop_back();
       actions.insert(actions.end(),
                      {AverageRows{}, Step{}, Discard{0}, Discard{1}, HandOver{0}, HandOver{1}, HandOver{2}});
     },
     1,
     {.gather = 4}},
    {"ringleader", "another weight", "ringleader should: fold of weight 1 into row 0",
     [](Actions& actions) { change<FoldRow>(actions, [](FoldRow& fold) { fold.weight = 0.5F; }); }},
    {"ringleader", "no new tables", "exchange of the tables", remove<SwapTables>},
    {"ringleader",
     "a second update of a worker",
     "ringleader should: fold of weight 1 into row 2 of the next",
     [](Actions& actions) {
       if (!std::holds_alternative<FoldRow>(actions.front())) return;
       auto& fold = std::get<FoldRow>(actions.front());
       if (fold.table == Table::next) actions.insert(actions.begin() + 1, Step{});
     },
     1,
     {},
     {},
     0.4},
};

class VerifiedMutant : public ::testing::TestWithParam<Mutant> {};

TEST_P(VerifiedMutant, IsFound) { EXPECT_THAT(verify(GetParam()), HasSubstr(GetParam().found)); }

INSTANTIATE_TEST_SUITE_P(Methods, VerifiedMutant, ::testing::ValuesIn(mutants), [](const auto& tested) {
  std::string title = tested.param.method + "_" + tested.param.name;
  std::ranges::replace_if(
      title, [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return title;
});

}  // namespace
}  // namespace tardigrad
