#include "runtime/coordinator/stop_rule.h"

#include <gtest/gtest.h>

namespace tardigrad {
namespace {

constexpr RunPosition position{.updates = 10, .gradients = 30, .examples = 240, .time = 2.5};

TEST(StopRule, WithoutLimitsARunGoesOn) { EXPECT_EQ(StopRule{}.reached(position, {}), std::nullopt); }

TEST(StopRule, ALimitIsReachedAtItsNumber) {
  EXPECT_EQ((StopRule{{.updates = 10}, {}}).reached(position, {}), StopReason::updates);
  EXPECT_EQ((StopRule{{.updates = 11}, {}}).reached(position, {}), std::nullopt);
  EXPECT_EQ((StopRule{{.gradients = 30}, {}}).reached(position, {}), StopReason::gradients);
  EXPECT_EQ((StopRule{{.gradients = 31}, {}}).reached(position, {}), std::nullopt);
  EXPECT_EQ((StopRule{{.examples = 240}, {}}).reached(position, {}), StopReason::gradients);
  EXPECT_EQ((StopRule{{.examples = 241}, {}}).reached(position, {}), std::nullopt);
  EXPECT_EQ((StopRule{{.time = 2.5}, {}}).reached(position, {}), StopReason::time_limit);
  EXPECT_EQ((StopRule{{.time = 2.6}, {}}).reached(position, {}), std::nullopt);
}

TEST(StopRule, ATargetIsReachedByTheLatestEvaluation) {
  const Evaluation latest{.loss = 0.5, .accuracy = 0.8, .gradient_norm_sq = 1e-3};
  const auto reached = [&](Target target) { return StopRule{{}, {target}}.reached(position, latest); };
  EXPECT_EQ(reached({Target::Kind::accuracy, 0.8}), StopReason::target_accuracy);
  EXPECT_EQ(reached({Target::Kind::accuracy, 0.81}), std::nullopt);
  EXPECT_EQ(reached({Target::Kind::loss, 0.5}), StopReason::target_loss);
  EXPECT_EQ(reached({Target::Kind::loss, 0.49}), std::nullopt);
  EXPECT_EQ(reached({Target::Kind::gradient_norm_sq, 1e-3}), StopReason::target_gradient_norm_sq);
  EXPECT_EQ(reached({Target::Kind::gradient_norm_sq, 9e-4}), std::nullopt);
}

TEST(StopRule, WhatAnEvaluationLacksIsNotReached) {
  const Evaluation without{.loss = 0};
  EXPECT_FALSE((Target{Target::Kind::accuracy, 0}).reached_by(without));
  EXPECT_FALSE((Target{Target::Kind::gradient_norm_sq, 1}).reached_by(without));
}

TEST(StopRule, OfSeveralTheFirstOfTheListCounts) {
  const StopRule rule{{.updates = 5, .gradients = 5}, {{Target::Kind::loss, 1}}};
  EXPECT_EQ(rule.reached(position, {}), StopReason::updates);
}

}  // namespace
}  // namespace tardigrad
