// What each method makes of workers that are lost and come back, action by action.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "tests/runtime/methods/method_words.h"

namespace tardigrad {
namespace {

using testing::arrive;
using ::testing::HasSubstr;
using testing::lose;
using ::testing::Not;
using testing::regain;
using testing::started;

constexpr MethodOptions three{.workers = 3};

TEST(MethodsWithLosses, AskNothingOfOthersWhereNobodyWaitsForAnybody) {
  for (const char* name :
       {"asgd", "asgd-delay-adaptive", "asgd-rescaled", "fedbuff", "rennala", "ringmaster"}) {
    const auto method = started(name, {.workers = 3});
    EXPECT_EQ(lose(*method, 1), "") << name;
    EXPECT_EQ(regain(*method, 1), " hand 1") << name;
  }
}

TEST(MethodsWithLosses, GoOnWhenAllWereLost) {
  for (const std::string& name : method_names()) {
    const auto method = started(name.c_str(), {.workers = 3});
    lose(*method, 2);
    lose(*method, 0);
    EXPECT_THAT(lose(*method, 1), Not(HasSubstr("hand"))) << name;
    EXPECT_THAT(regain(*method, 1), ::testing::StartsWith(" hand 1")) << name;
    std::string actions;
    for (int i = 0; i < 10; ++i) actions += arrive(*method, 1);
    EXPECT_THAT(actions, HasSubstr("step")) << name;
    EXPECT_THAT(actions, ::testing::AllOf(Not(HasSubstr("hand 0")), Not(HasSubstr("hand 2")))) << name;
  }
}

TEST(MethodsWithLosses, RefuseToLoseAWorkerTwice) {
  const auto method = started("dude", {.workers = 3});
  EXPECT_THROW(regain(*method, 1), std::logic_error);
  lose(*method, 1);
  EXPECT_THROW(lose(*method, 1), std::logic_error);
}

TEST(RennalaWithLosses, RestartsThoseThatWork) {
  const auto method = started("rennala", {.workers = 3, .gather = 2});
  lose(*method, 0);
  arrive(*method, 1);
  EXPECT_EQ(arrive(*method, 1), " add 0.5 step*1 discard 2 hand 1 hand 2");
}

TEST(RingmasterWithLosses, StopsNoJobOfALostWorker) {
  const auto method = started("ringmaster", {.workers = 3, .delay_threshold = 2});
  lose(*method, 2);
  EXPECT_EQ(arrive(*method, 0), " step*1 hand 0");
  EXPECT_EQ(arrive(*method, 0), " step*1 hand 0 discard 1 hand 1");
  EXPECT_EQ(regain(*method, 2), " hand 2");  // at version 2
  method->handed_over_late(0);
  EXPECT_EQ(arrive(*method, 0), " step*1 hand 0");
  EXPECT_EQ(arrive(*method, 0), " step*1 hand 0 discard 1 hand 1 discard 2 hand 2");
}

TEST(RescaledWithLosses, TheHarmonicMeanIsOfThoseThatWork) {
  const auto method = started("asgd-rescaled", {.workers = 3, .compute_times = {1, 3, 6}});
  lose(*method, 2);
  EXPECT_EQ(arrive(*method, 1), " step*2 hand 1");  // τ_h = 2/(1 + 1/3) = 3/2
  lose(*method, 0);
  EXPECT_EQ(arrive(*method, 1), " step*1 hand 1");
  regain(*method, 0);
  EXPECT_EQ(arrive(*method, 1), " step*2 hand 1");
}

TEST(RescaledWithLosses, RemembersTheTimesItSaw) {
  const auto method = started("asgd-rescaled", {.workers = 2});
  arrive(*method, Arrival{.worker = 0, .compute_time = 1});
  arrive(*method, Arrival{.worker = 1, .compute_time = 3});
  lose(*method, 0);
  EXPECT_EQ(arrive(*method, Arrival{.worker = 1, .compute_time = 3}), " step*1 hand 1");
  regain(*method, 0);
  EXPECT_EQ(arrive(*method, Arrival{.worker = 1, .compute_time = 3}), " step*2 hand 1");
}

TEST(AssignmentWithLosses, JobsOfTheLostAreDrawnAnewAmongTheOthers) {
  for (const char* name : {"asgd-uniform", "asgd-shuffled"}) {
    const auto method = started(name, {.workers = 3});
    EXPECT_THAT(lose(*method, 1), ::testing::AnyOf(" hand 0", " hand 2")) << name;
    EXPECT_EQ(regain(*method, 1), "") << name;  // three jobs are out: it is drawn in its turn
    lose(*method, 0);
    EXPECT_THAT(lose(*method, 1) + lose(*method, 2), Not(HasSubstr("hand 0"))) << name;
    EXPECT_EQ(regain(*method, 2), " hand 2 hand 2 hand 2") << name;
  }
}

TEST(SyncWithLosses, ARoundIsOfThoseThatWork) {
  const auto method = started("sync", {.workers = 4});
  EXPECT_EQ(arrive(*method, 0), " restart+0.25");
  EXPECT_EQ(arrive(*method, 1), " add 0.25");
  EXPECT_EQ(lose(*method, 2), "");
  EXPECT_EQ(lose(*method, 3), " scale 2 step*1 hand 0 hand 1");
  EXPECT_EQ(arrive(*method, 1), " restart+0.5");
  EXPECT_EQ(arrive(*method, 0), " add 0.5 step*1 hand 0 hand 1");
}

TEST(SyncWithLosses, TheWeightsAreThoseOfTheFirstArrival) {
  const auto method = started("sync", {.workers = 3});
  EXPECT_EQ(lose(*method, 0), "");
  EXPECT_EQ(arrive(*method, 1), " restart+0.5");
  EXPECT_EQ(arrive(*method, 2), " add 0.5 step*1 hand 1 hand 2");
}

TEST(SyncWithLosses, OneThatIsBackJoinsTheRound) {
  const auto method = started("sync", {.workers = 2});
  lose(*method, 0);
  EXPECT_EQ(regain(*method, 0), " hand 0");
  EXPECT_EQ(arrive(*method, 1), " restart+0.5");
  EXPECT_EQ(lose(*method, 1), "");    // what it gave counts
  EXPECT_EQ(regain(*method, 1), "");  // and is not given twice
  EXPECT_EQ(arrive(*method, 0), " add 0.5 step*1 hand 0 hand 1");
}

TEST(SyncWithLosses, ARoundOfMoreThanItBeganWith) {
  const auto method = started("sync", {.workers = 2});
  lose(*method, 0);
  EXPECT_EQ(arrive(*method, 1), " restart+1 step*1 hand 1");
  EXPECT_EQ(regain(*method, 0), " hand 0");
  EXPECT_EQ(lose(*method, 0), "");
  EXPECT_EQ(regain(*method, 0), " hand 0");
  EXPECT_EQ(arrive(*method, 0), " restart+0.5");
  EXPECT_EQ(lose(*method, 1), " scale 2 step*1 hand 0");
}

TEST(MsyncWithLosses, WaitsForNoMoreThanWork) {
  const auto method = started("msync", {.workers = 4, .gather = 3});
  EXPECT_EQ(arrive(*method, 0), " restart+0.333333");
  EXPECT_EQ(lose(*method, 1), "");
  EXPECT_EQ(lose(*method, 2), "");
  EXPECT_EQ(arrive(*method, 3), " add 0.333333 scale 1.5 step*1 hand 0 hand 3");
  EXPECT_EQ(arrive(*method, 3), " restart+0.5");
  EXPECT_EQ(lose(*method, 0), " scale 2 step*1 hand 3");
}

TEST(MsyncWithLosses, AGradientThatCameCounts) {
  const auto method = started("msync", {.workers = 3, .gather = 2});
  EXPECT_EQ(arrive(*method, 0), " restart+0.5");
  EXPECT_EQ(lose(*method, 0), "");
  EXPECT_EQ(regain(*method, 0), "");  // not twice
  EXPECT_EQ(arrive(*method, 2), " add 0.5 step*1 discard 1 hand 0 hand 1 hand 2");
}

TEST(MsyncWithLosses, ThrowsAwayNoJobOfALostWorker) {
  const auto method = started("msync", {.workers = 3, .gather = 1});
  lose(*method, 1);
  EXPECT_EQ(arrive(*method, 0), " restart+1 step*1 discard 2 hand 0 hand 2");
  EXPECT_EQ(regain(*method, 1), " hand 1");
  EXPECT_EQ(arrive(*method, 0), " restart+1 step*1 discard 1 discard 2 hand 0 hand 1 hand 2");
}

TEST(Ca2flWithLosses, AnEmptyRowLeavesTheMeanUntilItIsFilled) {
  const auto method = started("ca2fl", {.workers = 3, .gather = 2});
  EXPECT_EQ(lose(*method, 1), " skip 1 average");
  EXPECT_EQ(regain(*method, 1), " hand 1");
  EXPECT_EQ(arrive(*method, 1), " enter 1 restart by 1*0.5 keeping 0 hand 1");
  EXPECT_EQ(lose(*method, 1), "");  // what it gave counts, and its row stays
  EXPECT_EQ(arrive(*method, 0), " correct 0*0.5 step*1 hand 0");
}

TEST(Ca2flWithLosses, DroppedRowsComeBackAsTheyWere) {
  const auto method = started("ca2fl", {.workers = 2, .gather = 2, .lost_rows = LostRows::drop});
  arrive(*method, 0);
  EXPECT_EQ(lose(*method, 0), " skip 0 average");
  EXPECT_EQ(regain(*method, 0), " hand 0");
  EXPECT_EQ(arrive(*method, 0), " enter 0 correct 0*0.5 kept 0 step*1 hand 0");
}

TEST(AcedWithLosses, RowsOfTheLostGrowTooOld) {
  const auto method = started("aced", {.workers = 3, .delay_threshold = 1});
  for (const int worker : {0, 1, 2}) arrive(*method, worker);
  EXPECT_EQ(lose(*method, 2), "");
  EXPECT_EQ(arrive(*method, Arrival{.worker = 0, .version = 1}), " fold 0*1 step*1 hand 0");
  EXPECT_EQ(arrive(*method, Arrival{.worker = 1, .version = 1, .staleness = 1}),
            " leave 2 fold 1*1 step*1 hand 1");
  EXPECT_EQ(regain(*method, 2), " hand 2");
  EXPECT_EQ(arrive(*method, Arrival{.worker = 2, .version = 3}),
            " skip 0 skip 1 average lazily fold 2*1 enter 2 step*1 hand 2");
}

TEST(AcedWithLosses, RowsOfTheLostAreDroppedIfToldTo) {
  const auto method = started("aced", {.workers = 3, .lost_rows = LostRows::drop});
  arrive(*method, 0);
  EXPECT_EQ(lose(*method, 0), " leave 0");
  arrive(*method, 1);
  EXPECT_EQ(arrive(*method, 2), " fold 2*1 step*1 hand 1 hand 2");
  EXPECT_EQ(regain(*method, 0), " hand 0");
  EXPECT_EQ(arrive(*method, Arrival{.worker = 0, .version = 1}), " lazily fold 0*1 enter 0 step*1 hand 0");
}

TEST(AcedWithLosses, TheWarmUpIsOfThoseThatWork) {
  const auto method = started("aced", {.workers = 4});
  for (const int worker : {0, 1, 2}) arrive(*method, worker);
  EXPECT_EQ(lose(*method, 3), " leave 3 step*1 hand 0 hand 1 hand 2");
}

TEST(MifaWithLosses, RowsStayOrAreDropped) {
  const auto keeping = started("mifa", {.workers = 2});
  const auto dropping = started("mifa", {.workers = 2, .lost_rows = LostRows::drop});
  for (Method* method : {keeping.get(), dropping.get()}) {
    arrive(*method, 0);
    arrive(*method, 1);
    arrive(*method, 1);
  }
  EXPECT_EQ(lose(*keeping, 0), " step*1 hand 1");
  EXPECT_EQ(lose(*dropping, 0), " skip 0 average step*1 hand 1");
  for (Method* method : {keeping.get(), dropping.get()}) EXPECT_EQ(regain(*method, 0), " hand 0");
  EXPECT_EQ(arrive(*keeping, 0), " fold 0*1");
  EXPECT_EQ(arrive(*dropping, 0), " lazily fold 0*1 count 0 average");
  EXPECT_EQ(lose(*dropping, 0), " skip 0 average");
  EXPECT_EQ(lose(*dropping, 1), " skip 1 average");  // nothing is left to step along
}

/// Those that were available for a round are lost, and others work.
TEST(MifaWithLosses, ARoundOfNobodyIsFollowedByTheNext) {
  int rounds_of_worker_0 = 0;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const auto method = started("mifa", {.workers = 2, .availability = 0.3, .seed = seed});
    arrive(*method, 0);
    if (arrive(*method, 1) != " fold 1*1 step*1 hand 0") continue;
    ++rounds_of_worker_0;
    EXPECT_EQ(lose(*method, 0), " hand 1") << seed;
  }
  EXPECT_GT(rounds_of_worker_0, 0);
}

TEST(DudeWithLosses, WarmUpIsOfThoseThatWork) {
  const auto method = started("dude", three);
  EXPECT_EQ(arrive(*method, 0), " fold 0*1");
  EXPECT_EQ(lose(*method, 1), " skip 1 average");
  EXPECT_EQ(arrive(*method, 2), " fold 2*1 step*1 hand 0 hand 2");
  EXPECT_EQ(regain(*method, 1), " hand 1");
  EXPECT_EQ(arrive(*method, 1), " lazily fold 1*1 count 1 average step*1 hand 1");
  EXPECT_EQ(arrive(*method, 1), " fold 1*1 step*1 hand 1");
}

TEST(DudeWithLosses, TheLastToWaitForMayBeLost) {
  const auto method = started("dude", three);
  arrive(*method, 0);
  arrive(*method, 2);
  EXPECT_EQ(lose(*method, 1), " skip 1 average step*1 hand 0 hand 2");
}

TEST(DudeWithLosses, GathersNoMoreThanThereAre) {
  const auto method = started("dude", {.workers = 3, .gather = 3});
  for (const int worker : {0, 1, 2}) arrive(*method, worker);
  EXPECT_EQ(arrive(*method, 0), " fold 0*1");
  EXPECT_EQ(arrive(*method, 2), " fold 2*1");
  EXPECT_EQ(lose(*method, 2), "");  // its row stays; it is not handed a job
  EXPECT_EQ(lose(*method, 1), " step*1 hand 0");
  EXPECT_EQ(regain(*method, 1), " hand 1");
  EXPECT_EQ(arrive(*method, 0), " fold 0*1");
  EXPECT_EQ(arrive(*method, 1), " fold 1*1 step*1 hand 0 hand 1");
}

TEST(DudeWithLosses, DroppedRowsCountAgainOnceFilled) {
  const auto method = started("dude", {.workers = 2, .lost_rows = LostRows::drop});
  arrive(*method, 0);
  arrive(*method, 1);
  EXPECT_EQ(lose(*method, 0), " skip 0 average");
  EXPECT_EQ(arrive(*method, 1), " fold 1*1 step*1 hand 1");
  EXPECT_EQ(regain(*method, 0), " hand 0");
  EXPECT_EQ(lose(*method, 0), "");  // it did not count yet
  EXPECT_EQ(regain(*method, 0), " hand 0");
  EXPECT_EQ(arrive(*method, 0), " lazily fold 0*1 count 0 average step*1 hand 0");
}

TEST(Ia2sgdWithLosses, WarmUpEndsWithALossToo) {
  const auto method = started("ia2sgd", three);
  arrive(*method, 0);
  EXPECT_EQ(arrive(*method, 1), " fold 1*1 hand 1");
  EXPECT_EQ(lose(*method, 2), " skip 2 average");
  EXPECT_EQ(arrive(*method, 1), " fold 1*1 step*1 hand 1");
  EXPECT_EQ(regain(*method, 2), " hand 2");
  EXPECT_EQ(arrive(*method, 1), " fold 1*1 step*1 hand 1");  // warm once is warm for ever
  EXPECT_EQ(arrive(*method, 2), " lazily fold 2*1 count 2 average step*1 hand 2");
}

TEST(Ia2sgdWithLosses, WarmUpWaitsForThoseWhoAreBack) {
  const auto method = started("ia2sgd", three);
  EXPECT_EQ(lose(*method, 2), " skip 2 average");
  EXPECT_EQ(arrive(*method, 0), " fold 0*1 hand 0");
  EXPECT_EQ(regain(*method, 2), " hand 2");
  EXPECT_EQ(arrive(*method, 1), " fold 1*1 hand 1");
  EXPECT_EQ(arrive(*method, 1), " fold 1*1 hand 1");
  EXPECT_EQ(arrive(*method, 2), " lazily fold 2*1 count 2 average hand 2");
  EXPECT_EQ(arrive(*method, 2), " fold 2*1 step*1 hand 2");
}

TEST(MaleniaWithLosses, ARoundIsOfThoseThatWork) {
  const auto method = started("malenia", three);
  arrive(*method, 0);
  arrive(*method, 1);
  EXPECT_EQ(lose(*method, 2), " skip 2 average step*1 discard 0 discard 1 hand 0 hand 1");
  EXPECT_EQ(arrive(*method, 1), " lazily fold 1*1 hand 1");
  EXPECT_EQ(regain(*method, 2), " hand 2");
  EXPECT_EQ(arrive(*method, 0), " lazily fold 0*1 hand 0");
  EXPECT_EQ(lose(*method, 1), "");  // with its row
  EXPECT_EQ(arrive(*method, 2), " lazily fold 2*1 skip 1 count 2 average step*1 discard 0 hand 0 hand 2");
}

/// With b_1 = 1 for ever, n²/Σ 1/b_i = 4/(1 + 1/b_0) would never reach 100.
TEST(MaleniaWithLosses, NoRowOfALostWorkerHoldsTheHarmonicMeanDown) {
  const auto method = started("malenia", {.workers = 2, .gather = 100});
  arrive(*method, 1);
  lose(*method, 1);
  std::string actions;
  for (int i = 0; i < 99; ++i) actions += arrive(*method, 0);
  EXPECT_THAT(actions, Not(HasSubstr("step")));
  EXPECT_THAT(arrive(*method, 0), HasSubstr("skip 1 average step*1 hand 0"));  // b = S with one worker
}

TEST(RingleaderWithLosses, GatheringThatALossEndsGoesOnWithTheNextArrival) {
  const auto method = started("ringleader", three);
  arrive(*method, 0);
  arrive(*method, 1);
  EXPECT_EQ(lose(*method, 2), "");
  EXPECT_EQ(arrive(*method, 0), " lazily fold 0*0.5 skip 2 average step*1 hand 0");
  EXPECT_EQ(arrive(*method, 1), " fold 1*0.5 step*1 hand 1 swap");
}

TEST(RingleaderWithLosses, NobodyWaitsForAPendingWorkerThatIsLost) {
  const auto method = started("ringleader", three);
  for (const int worker : {0, 1, 2}) arrive(*method, worker);  // 2 made the first update
  EXPECT_EQ(arrive(*method, 2), " lazily fold next 2*1 hand 2");
  EXPECT_EQ(lose(*method, 0), "");
  EXPECT_EQ(arrive(*method, 1), " fold 1*0.5 step*1 hand 1 swap");
  EXPECT_EQ(regain(*method, 0), " hand 0");
  EXPECT_EQ(arrive(*method, 1), " lazily fold 1*1 hand 1");
  EXPECT_EQ(arrive(*method, 0), " lazily fold 0*1 average step*1 hand 0");  // 2 had come before
}

TEST(RingleaderWithLosses, TheLastPendingWorkerEndsTheRoundBeingLost) {
  const auto method = started("ringleader", {.workers = 2});
  arrive(*method, 0);
  EXPECT_EQ(arrive(*method, 1), " lazily fold 1*1 average step*1 hand 1");
  arrive(*method, 1);
  EXPECT_EQ(lose(*method, 0), " swap");
  EXPECT_EQ(arrive(*method, 1), " lazily fold 1*0.5 skip 0 average step*1 hand 1 swap");
  EXPECT_EQ(arrive(*method, 1), " lazily fold 1*1 skip 0 average step*1 hand 1 swap");  // of the other table
  EXPECT_EQ(arrive(*method, 1), " lazily fold 1*1 average step*1 hand 1 swap");
}

TEST(RingleaderWithLosses, OneThatIsBackIsNotPending) {
  const auto method = started("ringleader", three);
  for (const int worker : {0, 1, 2}) arrive(*method, worker);
  lose(*method, 0);
  EXPECT_EQ(regain(*method, 0), " hand 0");
  EXPECT_EQ(arrive(*method, 0), " lazily fold next 0*1 hand 0");
  EXPECT_EQ(arrive(*method, 1), " fold 1*0.5 step*1 hand 1 swap");
}

}  // namespace
}  // namespace tardigrad
