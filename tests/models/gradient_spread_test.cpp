#include "runtime/objective/gradient_spread.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "models/tridiagonal.h"

namespace tardigrad::models {
namespace {

double norm_sq_of_full_gradient(Tridiagonal& problem, const std::vector<float>& model) {
  std::vector<double> gradient(model.size());
  problem.full_gradient(model, gradient);
  double sum = 0;
  for (const double value : gradient) sum += value * value;
  return sum;
}

// ∇f_i − ∇f = −spread (ξ_i − their mean), and the noise of a gradient is noise · ξ: d noise², (1 − 1/n) d
// spread².
TEST(GradientSpread, OfAQuadraticIsWhatItIsMadeOf) {
  constexpr int dimension = 400;
  constexpr int workers = 50;
  Tridiagonal problem({.dimension = dimension, .noise = 0.3, .spread = 0.2}, workers, 1);
  std::vector<float> model(problem.dimension());
  problem.initialise(model, 1);
  const GradientSpread spread = estimate_gradient_spread(problem, model, 4);
  // Sums of 60,000 and 20,000 squares of normal variates: their relative errors are √(2 / count), times five.
  EXPECT_NEAR(spread.noise, dimension * 0.09,
              dimension * 0.09 * 5 * std::sqrt(2.0 / (3 * workers * dimension)));
  const double differences = dimension * 0.04 * (1 - 1.0 / workers);
  EXPECT_NEAR(spread.differences, differences,
              differences * 5 * std::sqrt(2.0 / (workers * dimension)) + 0.5);
  // Its error: 2 ‖∇f‖ times that of the mean gradient along it, 0.3 / √200, times five, and the square's own.
  const double norm_sq = norm_sq_of_full_gradient(problem, model);
  EXPECT_NEAR(spread.norm_sq, norm_sq, 5 * 2 * std::sqrt(norm_sq) * 0.3 / std::sqrt(200) + 0.05);
}

TEST(GradientSpread, WorkersWithoutNoiseAndDifferencesHaveNone) {
  Tridiagonal problem({.dimension = 10}, 3, 1);
  std::vector<float> model(problem.dimension());
  problem.initialise(model, 1);
  const GradientSpread spread = estimate_gradient_spread(problem, model, 2);
  const double norm_sq = norm_sq_of_full_gradient(problem, model);
  EXPECT_NEAR(spread.norm_sq, norm_sq, 1e-6 * norm_sq);  // gradients are rounded to fp32
  EXPECT_NEAR(spread.noise, 0, 1e-12 * norm_sq);
  EXPECT_NEAR(spread.differences, 0, 1e-12 * norm_sq);
}

}  // namespace
}  // namespace tardigrad::models
