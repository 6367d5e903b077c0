// What each method promises when workers are lost and come back at any time, and that a method goes on from
// its saved state as if nothing had been.

#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "runtime/base/json_text.h"
#include "runtime/base/state_archive.h"
#include "tests/runtime/methods/method_scenario.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;

class EveryMethodWithLosses : public ::testing::TestWithParam<std::string> {};

/// The simulator throws where somebody works and nobody has a job, where a lost worker is handed one, or no
/// update comes.
TEST_P(EveryMethodWithLosses, KeepsGoing) {
  rc::detail::checkGTest([] {
    const Scenario scenario = troubled_scenario();
    Simulated run(GetParam().c_str(), scenario, any_options(GetParam(), scenario));
    RandomLosses trouble(run.simulator, scenario);
    for (int event = 0; event < 400; ++event) {
      trouble.next();
      RC_ASSERT((run.simulator.outstanding() > 0) == (run.simulator.working() > 0));
    }
    if (run.simulator.working() == 0) run.simulator.regain(0);
    run.simulator.run(run.simulator.updates().size() + 3);
  });
}

/// A method and, from some moment on, another one that was given its state: both are asked, and must answer
/// alike.
class Twins final : public Method {
 public:
  Twins(const std::string& name, MethodOptions options)
      : name_(name), options_(std::move(options)), first_(make_method(name, options_)) {}

  ServerMemory memory() const override { return first_->memory(); }
  void start(Actions& actions) override { first_->start(actions); }

  void arrive(const Arrival& arrival, Actions& actions) override {
    ask([&](Method& method, Actions& answer) { method.arrive(arrival, answer); }, actions);
  }
  void lose(int worker, Actions& actions) override {
    ask([&](Method& method, Actions& answer) { method.lose(worker, answer); }, actions);
  }
  void regain(int worker, Actions& actions) override {
    ask([&](Method& method, Actions& answer) { method.regain(worker, answer); }, actions);
  }

  StateArchive::Json state() const {
    StateArchive saved;
    first_->visit_state(saved);
    return saved.json();
  }

  /// By way of text, as a file has it.
  void make_second() {
    second_ = make_method(name_, options_);
    Actions ignored;
    second_->start(ignored);
    StateArchive restored(parse_own_json<StateArchive::Json>(json_text(state())), "state");
    second_->visit_state(restored);
  }

 private:
  template <typename Question>
  void ask(const Question& question, Actions& actions) {
    question(*first_, actions);
    if (!second_) return;
    Actions answer;
    question(*second_, answer);
    RC_ASSERT(answer == actions);
  }

  std::string name_;
  MethodOptions options_;
  std::unique_ptr<Method> first_;
  std::unique_ptr<Method> second_;
};

TEST_P(EveryMethodWithLosses, GoesOnFromItsState) {
  rc::detail::checkGTest([] {
    const Scenario scenario = troubled_scenario();
    Twins twins(GetParam(), Simulated::complete(scenario, any_options(GetParam(), scenario)));
    MethodSimulator simulator(twins, scenario.problem());
    RandomLosses trouble(simulator, scenario);
    const int moment = any_from(0, 150, "moment");
    for (int event = 0; event < moment; ++event) trouble.next();
    twins.make_second();
    for (int event = 0; event < 150; ++event) trouble.next();
  });
}

INSTANTIATE_TEST_SUITE_P(Methods, EveryMethodWithLosses, ::testing::ValuesIn(method_names()), method_title);

/// How old the gradients in the rows are, by the actions alone.
class RowVersions {
 public:
  void follow(const SimulatedArrival& happened) {
    for (const Action& action : happened.actions) {
      if (const auto* fold = std::get_if<FoldRow>(&action)) {
        auto& oldest = fold->table == Table::main ? main_ : next_;
        const std::uint64_t version = happened.arrival.version;
        const bool fresh = fold->weight == 1 || !oldest.contains(fold->worker);
        oldest[fold->worker] = fresh ? version : std::min(oldest.at(fold->worker), version);
      }
      if (std::holds_alternative<Step>(action)) at_step_ = main_;
      if (std::holds_alternative<SwapTables>(action)) main_ = std::exchange(next_, {});
    }
  }

  /// Of the row's oldest gradient, at the latest step; nothing if the row was empty.
  std::optional<std::uint64_t> at_step(int worker) const {
    const auto found = at_step_.find(worker);
    return found == at_step_.end() ? std::nullopt : std::optional(found->second);
  }

 private:
  std::map<int, std::uint64_t> main_;
  std::map<int, std::uint64_t> next_;
  std::map<int, std::uint64_t> at_step_;
};

/// Every row that counts at a step, as (worker, version of its oldest gradient).
template <typename Visit>
void visit_steps(const char* name, const Visit& visit) {
  const Scenario scenario = troubled_scenario();
  Simulated run(name, scenario, any_options(name, scenario));
  RandomLosses trouble(run.simulator, scenario);
  RowVersions versions;
  for (std::uint64_t updates = 0; updates < 60;) {
    const std::vector<bool> counted_before = run.simulator.counting();
    const SimulatedArrival& happened = trouble.next();
    versions.follow(happened);
    if (run.simulator.updates().size() == updates) continue;
    std::vector<bool> counted = run.simulator.counting();
    if (count<SwapTables>(happened.actions) > 0) counted.clear();  // of another table by now
    visit(run, happened, versions, counted, updates);
    updates = run.simulator.updates().size();
  }
}

RC_GTEST_PROP(RingleaderWithLossesProperty, NoDelayExceeds2nMinus2, ()) {
  visit_steps("ringleader", [](const Simulated& run, const SimulatedArrival&, const RowVersions& versions,
                               const std::vector<bool>& counted, std::uint64_t updates) {
    RC_ASSERT(std::isfinite(run.simulator.x()[0]));  // no empty row is looked at
    const auto n = run.simulator.rows().size();
    for (std::size_t row = 0; row < counted.size(); ++row) {
      if (!counted[row]) continue;
      const auto oldest = versions.at_step(static_cast<int>(row));
      RC_ASSERT(oldest.has_value());
      RC_ASSERT(updates - *oldest <= 2 * n - 2);
    }
  });
}

RC_GTEST_PROP(MaleniaWithLossesProperty, StepsAlongGradientsOfTheNewestModelOfAllThatWork, ()) {
  visit_steps("malenia", [](const Simulated& run, const SimulatedArrival&, const RowVersions& versions,
                            const std::vector<bool>& counted, std::uint64_t updates) {
    for (std::size_t row = 0; row < counted.size(); ++row) {
      RC_ASSERT(counted[row] == run.simulator.works(static_cast<int>(row)));
      if (counted[row]) RC_ASSERT(versions.at_step(static_cast<int>(row)) == std::optional(updates));
    }
  });
}

/// Gradients are multiples of every number of rows up to 8, so that ū, moved by whole numbers, is exact.
RC_GTEST_PROP(TableWithLossesProperty, TheMeanIsThatOfTheRowsThatCount, ()) {
  const char* name = *rc::gen::element("dude", "ia2sgd", "mifa");
  Scenario scenario = troubled_scenario();
  scenario.gradient_unit = 840;
  const MethodOptions options = any_options(name, scenario);
  Simulated run(name, scenario, options);
  RandomLosses trouble(run.simulator, scenario);
  std::vector<bool> filled(static_cast<std::size_t>(scenario.workers));
  while (run.simulator.updates().size() < 60) {
    const SimulatedArrival& happened = trouble.next();
    if (count<FoldRow>(happened.actions) > 0) {
      filled[static_cast<std::size_t>(happened.arrival.worker)] = true;
    }
    if (count<Step>(happened.actions) == 0) continue;
    double sum = 0;
    double counting = 0;
    for (std::size_t row = 0; row < filled.size(); ++row) {
      const bool works = run.simulator.works(static_cast<int>(row));
      const bool dropped = options.lost_rows == LostRows::drop && !works;
      RC_ASSERT(!run.simulator.counting()[row] || (filled[row] && !dropped));
      if (options.lost_rows == LostRows::keep) RC_ASSERT(run.simulator.counting()[row] == filled[row]);
      if (!run.simulator.counting()[row]) continue;
      sum += run.simulator.rows()[row][0];
      ++counting;
    }
    RC_ASSERT(run.simulator.mean()[0] * counting == sum);
  }
}

/// A scaled mean is rounded three times, of values up to 8.
RC_GTEST_PROP(SyncWithLossesProperty, StepsAlongTheMeanOfWhatCame, ()) {
  const Scenario scenario = troubled_scenario();
  Simulated run("sync", scenario);
  RandomLosses trouble(run.simulator, scenario);
  double sum = 0;
  double gradients = 0;
  double x = 0;
  while (run.simulator.updates().size() < 60) {
    const SimulatedArrival& happened = trouble.next();
    RC_ASSERT(happened.arrival.staleness == 0U);
    if (!happened.gradient.empty()) {
      sum += happened.gradient[0];
      ++gradients;
    }
    if (count<Step>(happened.actions) == 0) continue;
    x -= Scenario::lr * sum / gradients;
    RC_ASSERT(std::abs(run.simulator.x()[0] - x) <= 1e-11);
    sum = gradients = 0;
  }
}

RC_GTEST_PROP(AssignmentWithLossesProperty, NJobsAreOutstandingAlways, ()) {
  const Scenario scenario = troubled_scenario();
  Simulated run(*rc::gen::element("asgd-uniform", "asgd-shuffled"), scenario);
  RandomLosses trouble(run.simulator, scenario);
  for (int event = 0; event < 300; ++event) {
    trouble.next();
    RC_ASSERT(run.simulator.outstanding() == (run.simulator.working() > 0 ? scenario.workers : 0));
  }
}

RC_GTEST_PROP(RingmasterWithLossesProperty, NeverAppliesAStalenessOfTheThreshold, ()) {
  const Scenario scenario = troubled_scenario();
  const int threshold = any_from(1, 10, "delay threshold");
  Simulated run("ringmaster", scenario, {.delay_threshold = threshold});
  RandomLosses trouble(run.simulator, scenario);
  for (int event = 0; event < 300; ++event) {
    RC_ASSERT(trouble.next().arrival.staleness < static_cast<std::uint64_t>(threshold));
    RC_ASSERT(run.simulator.outstanding() == run.simulator.working());
  }
}

// ---- Hostile states ----

/// Saved, with one member put in the place of another value.
std::string refusal(const std::string& name, const MethodOptions& options, const std::string& pointer,
                    const StateArchive::Json& value) {
  const auto method = make_method(name, options);
  Actions actions;
  method->start(actions);
  StateArchive saved;
  method->visit_state(saved);
  StateArchive::Json json = saved.json();
  json[StateArchive::Json::json_pointer(pointer)] = value;
  try {
    StateArchive restored(json, "state");
    method->visit_state(restored);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "accepted";
}

TEST(HostileStates, AreRefused) {
  using Json = StateArchive::Json;
  const MethodOptions two{.workers = 2};
  const struct {
    const char* method;
    const char* pointer;
    Json value;
    const char* message;
  } cases[] = {
      {"msync", "/round/parts", Json::array({2, 2}), "parts: expected somebody that computes"},
      {"ca2fl", "/gathered", 10, "gathered: expected a whole number from 0 to 9"},
      {"ca2fl", "/kept", Json::array({0}), "kept: expected no more workers than have come"},
      {"ca2fl", "/rows/filled", Json::array({0}), "filled: expected a list of 2"},
      {"aced", "/waiting", Json::array({0}), "waiting: expected workers that have come"},
      {"aced", "/rows/versions", Json::array({0}), "versions: expected a list of 2"},
      {"aced", "/rows/most_counting", 3, "most_counting: expected a whole number from 0 to 2"},
      {"rennala", "/gathered", 2, "gathered: expected a whole number from 0 to 1"},
      {"rennala", "/working", Json::array({1}), "working: expected a list of 2"},
      {"sync", "/round/parts", Json::array({1, 3}), "parts: expected a whole number from 0 to 2"},
      {"sync", "/round/parts", Json::array({2, 2}), "parts: expected somebody that computes"},
      {"sync", "/round/working", Json::array({0, 1}), "parts: expected only those that work to compute"},
      {"sync", "/weighted_for", 0, "weighted_for: expected"},
      {"mifa", "/members/parts", Json::array({0, 0}), "parts: expected somebody that computes"},
      {"mifa", "/rows/counts", Json::array({1, 2}), "counts: expected"},
      {"dude", "/waiting", Json::array({0}), "waiting: expected workers that have come"},
      {"dude", "/waiting", Json::array({2}), "waiting: expected a whole number from 0 to 1"},
      {"ia2sgd", "/rows/filled", Json::array({0}), "filled: expected a list of 2"},
      {"malenia", "/rows/counts", Json::array({1, 0}), "reciprocals: expected the sum over the rows"},
      {"malenia", "/reciprocals/sum", 1, "reciprocals: expected the sum over the rows"},
      {"malenia", "/reciprocals/sum", nullptr, "reciprocals: expected the sum over the rows"},
      {"ringleader", "/pending", Json::array({1, 0}),
       "pending: expected workers that have a row in the mean"},
      {"ringmaster", "/oldest_first", Json::array({1}), "oldest_first: expected those that work"},
      {"ringmaster", "/oldest_first", Json::array({1, 1}), "oldest_first: expected no worker twice"},
      {"ringmaster", "/versions", Json::array({0, 1}), "versions: expected a whole number from 0 to 0"},
      {"asgd-uniform", "/jobs", Json::array({1, 0}), "jobs: expected as many as there are workers"},
      {"asgd-uniform", "/jobs", Json::array({1, 2}), "jobs: expected as many as there are workers"},
      {"asgd-uniform", "/random", Json::array({0, 0, 0, 0}), "random: expected"},
      {"asgd-shuffled", "/order", Json::array({0, 0}), "order: expected no worker twice"},
      {"asgd-shuffled", "/drawn", 3, "drawn: expected a whole number from 0 to 2"},
      {"asgd-rescaled", "/times", Json::array({-1, 0}), "times: expected"},
      {"asgd-rescaled", "/observations", Json::array({1, 0}), "observations: expected"},
      {"asgd-rescaled", "/changes", 2, "changes: expected"},
  };
  for (const auto& one : cases) {
    EXPECT_THAT(refusal(one.method, two, one.pointer, one.value), ::testing::HasSubstr(one.message))
        << one.method << one.pointer;
  }
}

/// The workers that a state says work; nothing where the method does not care.
std::optional<std::vector<int>> working_in(Method& method) {
  StateArchive saved;
  method.visit_state(saved);
  const StateArchive::Json flat = saved.json().flatten();
  for (const auto& [name, value] : flat.items()) {
    const std::size_t at = name.find("working/");
    if (at == std::string::npos) continue;
    const std::string list = name.substr(0, at + std::string("working").size());
    return saved.json().at(StateArchive::Json::json_pointer(list)).get<std::vector<int>>();
  }
  return std::nullopt;
}

class AnyState : public ::testing::TestWithParam<std::string> {};

/// What is not refused leads to no access out of range (sanitizers look on) and no endless loop, whoever
/// arrives, is lost or comes back.
TEST_P(AnyState, IsRefusedOrSafe) {
  rc::detail::checkGTest([] {
    const Scenario scenario = troubled_scenario();
    const MethodOptions options = Simulated::complete(scenario, any_options(GetParam(), scenario));
    Twins twins(GetParam(), options);
    MethodSimulator simulator(twins, scenario.problem());
    RandomLosses trouble(simulator, scenario);
    for (int event = any_from(0, 40, "events"); event > 0; --event) trouble.next();
    StateArchive::Json json = twins.state();
    Random random(scenario.seed, Purpose::replacement);
    StateArchive::Json flat = json.flatten();
    for (const auto& [pointer, value] : flat.items()) {
      if (!value.is_number() || random.below(8) != 0) continue;
      json[StateArchive::Json::json_pointer(pointer)] = static_cast<int>(random.below(10)) - 1;
    }
    const auto method = make_method(GetParam(), options);
    Actions actions;
    method->start(actions);
    try {
      StateArchive restored(json, "state");
      method->visit_state(restored);
    } catch (const std::invalid_argument&) {
      return;
    }
    const auto n = static_cast<std::uint32_t>(scenario.workers);
    for (int call = 0; call < 100; ++call) {
      const int worker = static_cast<int>(random.below(n));
      const auto working = working_in(*method);
      const bool works = !working || working->at(static_cast<std::size_t>(worker)) != 0;
      actions.clear();
      if (works && random.below(8) > 0) {
        method->arrive({.worker = worker, .compute_time = 1}, actions);
      } else {
        works ? method->lose(worker, actions) : method->regain(worker, actions);
      }
      RC_ASSERT(actions.size() <= 3 * n + 8);
    }
  });
}

INSTANTIATE_TEST_SUITE_P(Methods, AnyState, ::testing::ValuesIn(method_names()), method_title);

}  // namespace
}  // namespace tardigrad
