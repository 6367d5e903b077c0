// Where workers and models are.

#include "runtime/ranks/rank_layout.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/ranks/rank_models.h"

namespace tardigrad {
namespace {

using ::testing::ElementsAre;

TEST(RankLayout, RanksBehindTheFirstTakeTurns) {
  const RankLayout layout(5, 3);
  EXPECT_THAT(layout.workers_of(0), ElementsAre());
  EXPECT_THAT(layout.workers_of(1), ElementsAre(0, 2, 4));
  EXPECT_THAT(layout.workers_of(2), ElementsAre(1, 3));
  EXPECT_EQ(layout.rank_of(3), 2);
}

TEST(RankLayout, RanksThatKeepShardsHaveNoWorkers) {
  const RankLayout layout(5, 4, {2, 3}, 2);
  EXPECT_THAT(layout.of_workers(), ElementsAre(2, 3, 2, 3, 3));
  EXPECT_THAT(RankLayout(3, 5, {}, 3).of_workers(), ElementsAre(3, 4, 3));
}

TEST(RankLayout, RanksHaveAsManyAsTheyAreGiven) {
  const RankLayout layout(5, 3, {1, 4});
  EXPECT_THAT(layout.workers_of(1), ElementsAre(0));
  EXPECT_THAT(layout.workers_of(2), ElementsAre(1, 2, 3, 4));
}

TEST(RankModels, AModelIsSentOnce) {
  RankModels models;
  const auto first = models.take(7);
  const auto second = models.take(7);
  EXPECT_TRUE(first.fresh);
  EXPECT_FALSE(second.fresh);
  EXPECT_EQ(first.slot, second.slot);
}

TEST(RankModels, ASlotIsWrittenAnewWhenNobodyUsesIt) {
  RankModels models;
  const auto old = models.take(1);
  const auto newer = models.take(2);
  EXPECT_NE(newer.slot, old.slot);
  const auto while_used = models.take(3);
  EXPECT_NE(while_used.slot, old.slot);
  models.release(old.slot);
  EXPECT_EQ(models.take(4).slot, old.slot);
}

TEST(RankModels, TheNewestStaysWithoutJobs) {
  RankModels models;
  const auto only = models.take(1);
  models.release(only.slot);
  EXPECT_FALSE(models.take(1).fresh);
}

}  // namespace
}  // namespace tardigrad
