#include "runtime/objective/smoothness.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "models/tridiagonal.h"
#include "tests/models/classification_problem.h"

namespace tardigrad::models {
namespace {

using testing::make;

// Eigenvalues of ¼ tridiag(−1, 2, −1) are ½ (1 − cos(πk / (d + 1))).
TEST(Smoothness, OfAQuadraticIsItsLargestEigenvalue) {
  Tridiagonal problem(parse_tridiagonal("tridiagonal:6"), 3, 1);
  std::vector<float> model(problem.dimension());
  problem.initialise(model, 1);
  const double largest = 0.5 * (1 + std::cos(std::numbers::pi / 7));
  const auto smoothness = estimate_smoothness(problem, model);
  ASSERT_TRUE(smoothness);
  EXPECT_LT(*smoothness, 1.001 * largest);
  EXPECT_GT(*smoothness, 0.95 * largest);
}

// Of 256 images, the first of each share: full_gradient takes the same where it may take so many.
TEST(Smoothness, OfANetworkIsThatOfItsFirstImages) {
  ClassificationOptions options{.workers = 4, .batch_size = 8, .partition = {}, .evaluation_device = {}};
  options.evaluation_examples = 256;
  Classification problem = make(options, 400);
  std::vector<float> model(problem.dimension());
  problem.initialise(model, 1);
  std::vector<double> sample(model.size());
  std::vector<double> full(model.size());
  ASSERT_TRUE(problem.sample_gradient(model, sample));
  problem.full_gradient(model, full);
  for (std::size_t i = 0; i < full.size(); ++i) ASSERT_NEAR(sample[i], full[i], 1e-6) << i;
  EXPECT_GT(estimate_smoothness(problem, model).value_or(0), 0);
}

// Where there are more workers than images are looked at, those of some workers are, which lie spread over
// all.
TEST(Smoothness, OfANetworkOfManyWorkersIsThatOfSome) {
  const auto problem_of = [](int workers) {
    return make({.workers = workers, .batch_size = 1, .partition = {}, .evaluation_device = {}}, 600);
  };
  Classification many = problem_of(600);
  std::vector<float> model(many.dimension());
  many.initialise(model, 1);
  std::vector<double> sample(model.size());
  std::vector<double> full(model.size());
  many.sample_gradient(model, sample);
  many.full_gradient(model, full);
  EXPECT_NE(sample, full);
  // Of other images than those of four workers: the same to some tens of percent.
  const double smoothness = estimate_smoothness(many, model).value_or(0);
  Classification few = problem_of(4);
  EXPECT_NEAR(smoothness, estimate_smoothness(few, model).value_or(0), 0.3 * smoothness);
}

}  // namespace
}  // namespace tardigrad::models
