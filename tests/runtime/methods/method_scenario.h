#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <cstdlib>
#include <memory>
#include <string>

#include "kernels/random.h"
#include "tests/runtime/methods/method_simulator.h"
#include "tests/support/experiment.h"
#include "tests/support/quick_build.h"

// Methods under random numbers of workers, options and delays.

namespace tardigrad::testing {

/// The same cases in every run, 100 a property or 25; RC_PARAMS="seed=…" in the environment tries others.
inline const int seeded = setenv("RC_PARAMS", quick_build ? "seed=1 max_success=25" : "seed=1", 0);

/// Workers of different speeds whose jobs take small whole times (so that many end together), and gradients
/// that are whole numbers, in one dimension, whatever the model.
struct Scenario {
  int workers = 1;
  std::uint64_t seed = 0;
  int gradient_unit = 1;  ///< all gradients are multiples of it

  static constexpr double lr = 0.25;

  double duration(int worker, std::uint64_t job) const {
    const auto key = static_cast<std::uint64_t>(worker);
    const std::uint32_t slowest = 1U << Random(seed, Purpose::delay, key).below(6);
    return 1 + Random(seed, Purpose::delay, key, job + 1).below(slowest);
  }

  double gradient(int worker, std::uint64_t job) const {
    Random random(seed, Purpose::initialise, static_cast<std::uint64_t>(worker), job);
    return (static_cast<double>(random.below(17)) - 8) * gradient_unit;
  }

  SimulatedProblem problem() const {
    const auto gradient_vector = [*this](int worker, std::uint64_t job, const Vector&) {
      return Vector{gradient(worker, job)};
    };
    return {.workers = workers,
            .x0 = {0},
            .lr = lr,
            .duration = [*this](int worker, std::uint64_t job) { return duration(worker, job); },
            .gradient = gradient_vector};
  }
};

inline Scenario any_scenario() {
  const int workers = *rc::gen::inRange(1, 41).as("workers");
  return {workers, *rc::gen::arbitrary<std::uint64_t>().as("seed"), 1};
}

inline int any_from(int least, int most, const char* name) {
  return *rc::gen::inRange(least, most + 1).as(name);
}

/// A method in a simulator.
struct Simulated {
  Simulated(const char* name, const Scenario& scenario, MethodOptions options = {})
      : method(make_method(name, complete(scenario, options))), simulator(*method, scenario.problem()) {}

  static MethodOptions complete(const Scenario& scenario, MethodOptions options) {
    options.workers = scenario.workers;
    options.seed = scenario.seed;
    options.lr = Scenario::lr;
    return options;
  }

  std::unique_ptr<Method> method;
  MethodSimulator simulator;
};

template <typename Kind>
int count(const Actions& actions) {
  return static_cast<int>(std::count_if(actions.begin(), actions.end(), [](const Action& action) {
    return std::holds_alternative<Kind>(action);
  }));
}

inline MethodOptions any_options(const std::string& name, const Scenario& scenario) {
  MethodOptions options;
  const auto has = [&name](Feature feature) { return has_feature(name, feature); };
  const bool of_workers = name == "dude" || name == "msync";
  if (has(Feature::gather)) options.gather = any_from(1, of_workers ? scenario.workers : 60, "gather");
  if (has(Feature::delay_threshold)) options.delay_threshold = any_from(1, 60, "delay threshold");
  if (has(Feature::availability)) options.availability = 0.3;
  if (has(Feature::lost_rows)) options.lost_rows = *rc::gen::element(LostRows::keep, LostRows::drop);
  return options;
}

/// Loses workers, has them back, and lets gradients arrive, at random.
class RandomLosses {
 public:
  RandomLosses(MethodSimulator& simulator, const Scenario& scenario)
      : simulator_(simulator), workers_(scenario.workers), random_(scenario.seed, Purpose::partition) {}

  /// The next thing that happens.
  const SimulatedArrival& next() {
    const std::uint32_t what = random_.below(16);
    const int worker = static_cast<int>(random_.below(static_cast<std::uint32_t>(workers_)));
    if (what == 0 && simulator_.works(worker)) return simulator_.lose(worker);
    if (what <= 2 && !simulator_.works(worker)) return simulator_.regain(worker);
    if (simulator_.working() == 0) return simulator_.regain(worker);
    return simulator_.next();
  }

 private:
  MethodSimulator& simulator_;
  int workers_;
  Random random_;
};

/// Fewer workers than in other tests, so that now and then all are lost.
inline Scenario troubled_scenario() {
  Scenario scenario = any_scenario();
  scenario.workers = any_from(1, 8, "few workers");
  return scenario;
}

}  // namespace tardigrad::testing
