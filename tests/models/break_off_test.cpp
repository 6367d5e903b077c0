// Objectives break off what they compute, and compute the same afterwards.

#include "runtime/base/break_off.h"

#include <gtest/gtest.h>

#include <memory>
#include <stop_token>
#include <thread>
#include <vector>

#include "models/networks/built_in_networks.h"
#include "models/quadratic.h"
#include "models/tridiagonal.h"
#include "runtime/objective/smoothness.h"
#include "tests/models/classification_problem.h"
#include "tests/support/no_threads.h"

namespace tardigrad::models {
namespace {

std::unique_ptr<Objective> make_classification(int threads) {
  const auto dataset = testing::share_bright_rows(600);
  ClassificationOptions options;
  options.workers = 3;
  options.evaluation_threads = threads;
  return std::make_unique<Classification>(
      dataset, make_architecture("mlp", dataset->train.shape, dataset->classes), options);
}

std::unique_ptr<Objective> make_quadratic() {
  return std::make_unique<Quadratic>(QuadraticProblem{
      .workers = 2, .dimension = 2, .a = {1, 0, 0, 2, 2, 0, 0, 1}, .b = {1, 0, 0, 1}, .x0 = {0.5F, -0.5F}});
}

std::vector<std::unique_ptr<Objective>> objectives() {
  std::vector<std::unique_ptr<Objective>> all;
  all.push_back(make_classification(1));
  all.push_back(make_classification(3));
  all.push_back(make_quadratic());
  all.push_back(
      std::make_unique<Tridiagonal>(TridiagonalOptions{.dimension = 50, .noise = 0, .spread = 0}, 2, 1));
  return all;
}

std::vector<float> first_model(const Objective& objective) {
  std::vector<float> model(objective.dimension());
  objective.initialise(model, 3);
  return model;
}

/// All that an objective computes of a model without workers.
std::vector<double> all_numbers(Objective& objective, const BreakOff& break_off = {}) {
  const std::vector<float> model = first_model(objective);
  std::vector<double> numbers(objective.dimension());
  numbers.push_back(objective.full_gradient(model, {numbers.data(), model.size()}, break_off));
  numbers.push_back(objective.evaluate(model, break_off).loss);
  numbers.push_back(estimate_smoothness(objective, model, break_off).value());
  return numbers;
}

TEST(BreakingOff, LeavesNoResultAndNoTrace) {
  const BreakOff due(BreakOff::Clock::now());
  for (const auto& objective : objectives()) {
    const std::vector<double> expected = all_numbers(*objective);
    const std::vector<float> model = first_model(*objective);
    std::vector<double> gradient(model.size());
    EXPECT_THROW(objective->evaluate(model, due), BrokenOff);
    EXPECT_THROW(objective->full_gradient(model, gradient, due), BrokenOff);
    EXPECT_THROW(objective->full_gradient(model, {}, due), BrokenOff);
    EXPECT_THROW(objective->sample_gradient(model, gradient, due), BrokenOff);
    EXPECT_THROW(estimate_smoothness(*objective, model, due), BrokenOff);
    EXPECT_EQ(all_numbers(*objective), expected);
  }
}

// Threads wait for each other's turn; none is left waiting, wherever the stop comes.
TEST(BreakingOff, EndsWhereverItComes) {
  const auto objective = make_classification(3);
  const std::vector<double> expected = all_numbers(*objective);
  int broken_off = 0;
  for (int i = 0; i < 20; ++i) {
    std::stop_source stop;
    if (i == 0) stop.request_stop();
    const std::jthread stopper([&, i] {
      for (int k = 0; k < i * 20; ++k) std::this_thread::yield();
      stop.request_stop();
    });
    try {
      EXPECT_EQ(all_numbers(*objective, BreakOff(stop.get_token())), expected);
    } catch (const BrokenOff&) {
      ++broken_off;
    }
  }
  EXPECT_GT(broken_off, 0);
}

TEST(FewThreads, EvaluateTheSame) {
  const auto objective = make_classification(3);
  const std::vector<double> expected = all_numbers(*objective);
  const tardigrad::testing::NoThreads none;
  EXPECT_EQ(all_numbers(*objective), expected);
}

}  // namespace
}  // namespace tardigrad::models
