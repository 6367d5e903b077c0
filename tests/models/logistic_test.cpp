// Logistic regression on rows of features: f and its gradient against float64, from the formula.

#include <gtest/gtest.h>

#include <cmath>
#include <memory>

#include "kernels/random.h"
#include "models/classification.h"
#include "models/networks/built_in_networks.h"

namespace tardigrad::models {
namespace {

constexpr std::size_t rows = 300;
constexpr std::size_t features = 123;

/// Like a9a: of each row about a ninth of the features is 1, the others are 0.
std::shared_ptr<const data::Dataset> sparse_rows() {
  Random random(5, Purpose::heterogeneity);
  data::Dataset dataset{.name = "rows", .train = {}, .test = {}, .classes = 2, .normalisation = {{0}, {1}}};
  dataset.train.shape = {.channels = 1, .height = 1, .width = features};
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < features; ++j) dataset.train.values.push_back(random.below(9) == 0 ? 1 : 0);
    dataset.train.labels.push_back(static_cast<data::Label>(random.below(4) == 0));
  }
  dataset.test = dataset.train;
  return std::make_shared<const data::Dataset>(std::move(dataset));
}

/// f(x) = mean of log Σ_c exp(w_c·a + b_c) − (w_y·a + b_y), and its gradient, in float64.
double reference(const data::Images& images, const std::vector<float>& x, std::vector<double>& gradient) {
  gradient.assign(x.size(), 0);
  double value = 0;
  const auto weight = [&](std::size_t c, std::size_t j) { return static_cast<double>(x[c * features + j]); };
  for (std::size_t i = 0; i < rows; ++i) {
    const float* const a = images.values.data() + i * features;
    double logits[2];
    for (std::size_t c = 0; c < 2; ++c) {
      logits[c] = static_cast<double>(x[2 * features + c]);
      for (std::size_t j = 0; j < features; ++j) logits[c] += weight(c, j) * static_cast<double>(a[j]);
    }
    const double log_sum = std::log(std::exp(logits[0]) + std::exp(logits[1]));
    value += (log_sum - logits[images.labels[i]]) / rows;
    for (std::size_t c = 0; c < 2; ++c) {
      const double error = (std::exp(logits[c] - log_sum) - (images.labels[i] == c ? 1 : 0)) / rows;
      for (std::size_t j = 0; j < features; ++j) {
        gradient[c * features + j] += error * static_cast<double>(a[j]);
      }
      gradient[2 * features + c] += error;
    }
  }
  return value;
}

double norm_sq(const std::vector<double>& vector) {
  double sum = 0;
  for (const double value : vector) sum += value * value;
  return sum;
}

TEST(Logistic, HasTheLossAndTheGradientOfTheFormula) {
  const auto dataset = sparse_rows();
  Classification classification(dataset, make_architecture("logistic", dataset->train.shape, 2),
                                {.workers = 1, .batch_size = 32, .partition = {}});
  ASSERT_EQ(classification.dimension(), 2 * features + 2);
  std::vector<float> x(classification.dimension());
  classification.initialise(x, 1);
  for (float& value : x) value *= 20;  // far from 0
  std::vector<double> expected;
  const double expected_value = reference(dataset->train, x, expected);
  std::vector<double> gradient(x.size());
  const double value = classification.full_gradient(x, gradient);
  // Logits are sums of about 15 floats: some units in their last place.
  EXPECT_NEAR(value, expected_value, 1e-6 * expected_value);
  EXPECT_NEAR(norm_sq(gradient), norm_sq(expected), 1e-6 * norm_sq(expected));
  EXPECT_NEAR(classification.evaluate(x).loss, expected_value, 1e-6 * expected_value);
}

}  // namespace
}  // namespace tardigrad::models
