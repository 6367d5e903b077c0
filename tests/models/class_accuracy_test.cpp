#include "models/class_accuracy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "tests/models/classification_problem.h"

namespace tardigrad::models {
namespace {

using ::testing::ElementsAre;
using ::testing::Optional;

TEST(ClassAccuracy, IsThatOfTheExamplesOfEachClass) {
  const std::vector<data::Label> labels{0, 3, 0, 1, 0, 3};
  const std::vector<std::uint8_t> hits{1, 1, 0, 0, 1, 1};
  const Evaluation evaluation = evaluation_of(3, hits, labels, 4);
  EXPECT_EQ(evaluation.loss, 0.5);
  EXPECT_THAT(evaluation.accuracy, Optional(4.0 / 6));
  EXPECT_THAT(evaluation.class_accuracy,
              ElementsAre(Optional(2.0 / 3), Optional(0.0), std::nullopt, Optional(1.0)));
}

// A trained model errs differently from class to class; weighed by their examples they give the accuracy.
TEST(ClassAccuracy, OfAModelAddsUpToItsAccuracy) {
  auto classification = testing::make({.workers = 1, .batch_size = 8, .partition = {}});
  std::vector<float> model(classification.dimension());
  classification.initialise(model, 3);
  const Evaluation evaluation = classification.evaluate(model);
  ASSERT_EQ(evaluation.class_accuracy.size(), 10U);
  double hits = 0;
  for (std::size_t c = 0; c < 10; ++c) hits += evaluation.class_accuracy[c].value() * (c < 3 ? 62 : 61);
  EXPECT_NEAR(hits / 613, evaluation.accuracy.value(), 1e-12);
  EXPECT_NE(evaluation.class_accuracy.front(), evaluation.class_accuracy.back());
}

}  // namespace
}  // namespace tardigrad::models
