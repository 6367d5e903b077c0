// What verification is made of: jobs that come as they should not, means, and the table itself.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>

#include "runtime/verify/job_ledger.h"
#include "runtime/verify/mean_ledger.h"
#include "runtime/verify/method_spec.h"
#include "runtime/verify/table_check.h"
#include "runtime/verify/verified_method.h"

namespace tardigrad {
namespace {

using ::testing::HasSubstr;

std::string found(const std::function<void()>& what) {
  try {
    what();
  } catch (const VerificationError& error) {
    return error.what();
  }
  return "nothing found";
}

// ---- Runs that are broken ----

/// Two workers of asgd, each with a job.
class BrokenRun : public ::testing::Test {
 protected:
  BrokenRun() { verified_.start(actions_); }

  void arrive(int worker, std::uint64_t version, std::uint64_t staleness) {
    verified_.arrive({worker, version, staleness, 1}, actions_);
  }

  MethodOptions options_{.workers = 2};
  VerifiedMethod verified_{make_method("asgd", options_), "asgd", options_};
  Actions actions_;
};

TEST_F(BrokenRun, AGradientOfOneThatIsLost) {
  arrive(0, 0, 0);
  verified_.lose(1, actions_);
  EXPECT_THAT(found([this] { arrive(1, 0, 1); }),
              HasSubstr("after update 1, at the arrival of worker 1: no gradient comes of a worker that is"));
}

TEST_F(BrokenRun, AGradientOfNoJob) {
  verified_.lose(1, actions_);
  verified_.lose(0, actions_);
  verified_.regain(0, actions_);
  arrive(0, 0, 0);
  const MethodOptions two{.workers = 2};
  VerifiedMethod sync(make_method("sync", two), "sync", two);
  sync.start(actions_);
  sync.arrive({0, 0, 0, 1}, actions_);
  EXPECT_THAT(found([&] { sync.arrive({0, 0, 0, 1}, actions_); }), HasSubstr("the worker has none"));
}

TEST_F(BrokenRun, AGradientOfAnotherVersion) {
  arrive(0, 0, 0);
  EXPECT_THAT(found([this] { arrive(0, 0, 1); }), HasSubstr("expected that of version 1, found 0"));
}

TEST_F(BrokenRun, AStalenessThatIsCountedWrongly) {
  arrive(0, 0, 0);
  EXPECT_THAT(found([this] { arrive(1, 0, 0); }),
              HasSubstr("staleness is k - version: expected 1 - 0, found 0"));
}

TEST_F(BrokenRun, ALossOfOneThatIsLostAndAReturnOfOneThatIsNot) {
  EXPECT_THAT(found([this] { verified_.regain(1, actions_); }),
              HasSubstr("at the return of worker 1: only workers that are lost come back"));
  verified_.lose(1, actions_);
  EXPECT_THAT(found([this] { verified_.lose(1, actions_); }),
              HasSubstr("at the loss of worker 1: only workers that work are lost"));
}

TEST_F(BrokenRun, AHandOverThatIsLateAndWasNotAskedFor) {
  verified_.lose(1, actions_);
  EXPECT_THAT(found([this] { verified_.handed_over_late(1); }), HasSubstr("late hand-over to worker 1"));
}

// The job begins at the model as it is by then.
TEST_F(BrokenRun, AfterALateHandOverTheVersionIsAnother) {
  arrive(0, 0, 0);
  verified_.handed_over_late(1);
  EXPECT_THAT(found([this] { arrive(1, 0, 1); }), HasSubstr("expected that of version 1, found 0"));
}

// ---- Bounds that follow from decisions, where those are as they should be ----

TEST(JobLedger, KnowsTheStalenessThatIsAllowed) {
  Checks checks;
  JobLedger jobs(2, JobSpread::one_each, 0);
  jobs.start();
  jobs.follow(Actions{HandOver{0}, HandOver{1}}, checks);
  jobs.arrive({0, 0, 0, 1}, checks);
  jobs.follow(Actions{Step{}, HandOver{0}}, checks);
  EXPECT_THAT(found([&] {
                jobs.arrive({1, 0, 1, 1}, checks);
              }),
              HasSubstr("no gradient is staler than 0: this one is 1"));
}

TEST(MeanLedger, KnowsTheAgeThatIsAllowed) {
  Checks checks;
  MeanLedger means(2, {.tables = 1, .mean = true}, 3);
  means.start();
  const Arrival old{0, 1, 1, 1};
  means.follow(Actions{FoldRow{0}}, &old, 2, checks);
  const Arrival newer{1, 4, 0, 1};
  means.follow(Actions{FoldRow{1}, Step{}}, &newer, 4, checks);
  EXPECT_THAT(found([&] {
                means.follow(Actions{FoldRow{1}, Step{}}, &newer, 5, checks);
              }),
              HasSubstr("no gradient in a step is older than 3 updates: one is 4 old"));
}

TEST(MeanLedger, FindsAStepAlongNoRows) {
  Checks checks;
  MeanLedger means(1, {.tables = 1, .mean = true}, MeanLedger::any_age);
  means.start();
  EXPECT_THAT(found([&] {
                means.follow(Actions{CountRow{0, false}, AverageRows{}, Step{}}, nullptr, 0, checks);
              }),
              HasSubstr("the mean of some rows: none counts"));
}

TEST(MethodSpec, OfRingleaderIsOfNUpdatesARound) {
  Checks checks;
  JobLedger jobs(2, JobSpread::one_each, MeanLedger::any_age);
  const MeanLedger means(2, {.tables = 2, .mean = true}, MeanLedger::any_age);
  const auto promise = make_promise("ringleader", {.workers = 2});
  jobs.start();
  promise->start(jobs);
  promise->check({.step = 1}, jobs, means, checks);
  EXPECT_THAT(found([&] { promise->check({.swap = true}, jobs, means, checks); }),
              HasSubstr("it made 1 of 2 before the next"));
  promise->check({.step = 1}, jobs, means, checks);
  EXPECT_THAT(found([&] { promise->check({.step = 1}, jobs, means, checks); }),
              HasSubstr("this is number 3 of 2"));
}

// ---- The table ----

/// A table whose mean is moved along with its rows in float, as a server does.
class Rows : public ::testing::Test {
 protected:
  static constexpr std::size_t dimension = 50;
  static constexpr std::size_t count = 4;

  void fold(std::size_t row, float value, float weight = 1.0F / count) {
    for (std::size_t i = 0; i < dimension; ++i) {
      const float folded = value + 0.1F * static_cast<float>(i);
      mean_[i] += weight * (folded - rows_[row][i]);
      rows_[row][i] = folded;
    }
    ++folds_;
  }

  bool look() {
    const auto read = [this](const VectorVisitor& mean, const VectorVisitor& row) {
      mean(mean_);
      for (const auto& one : rows_) row(one);
    };
    return check_.look(read, folds_, folds_, checks_);
  }

  std::vector<float> mean_ = std::vector<float>(dimension);
  std::vector<std::vector<float>> rows_ = std::vector(count, mean_);
  std::uint64_t folds_ = 0;
  Checks checks_;
  TableCheck check_;
};

TEST_F(Rows, ThatShrinkKeepTheErrorOfLargerOnes) {
  EXPECT_TRUE(look());
  for (int round = 0; round < 4000; ++round) {
    fold(static_cast<std::size_t>(round) % count, 1000.0F / static_cast<float>(1 + round * round % 977));
    if (round % 100 == 0) {
      EXPECT_TRUE(look());
    }
  }
  for (std::size_t row = 0; row < count; ++row) fold(row, 0.001F);
  EXPECT_TRUE(look());
  EXPECT_GT(check_.largest_drift(), 0);
  EXPECT_LT(check_.largest_drift(), 1e-4);
}

TEST_F(Rows, OfAMeanThatMissedAFoldAreFound) {
  for (int round = 0; round < 100; ++round) fold(static_cast<std::size_t>(round) % count, 1.0F);
  EXPECT_TRUE(look());
  for (int round = 0; round < 1000; ++round) {
    fold(static_cast<std::size_t>(round) % count, 1.0F + 0.01F * static_cast<float>(round % 7));
  }
  fold(2, 1.5F, 0);
  EXPECT_THAT(found([this] { look(); }),
              HasSubstr("the mean is that of the 4 rows that count: it is off by"));
}

TEST_F(Rows, OfAMeanThatIsSetAnewAreFine) {
  fold(0, 1e6F);
  EXPECT_TRUE(look());
  fold(0, 1);
  mean_.assign(dimension, 0);
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < dimension; ++i) mean_[i] += row[i] / count;
  }
  EXPECT_TRUE(look());
  EXPECT_TRUE(look());
}

TEST_F(Rows, ThatAreNotFiniteAreTold) {
  fold(1, 1);
  rows_[2][7] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_FALSE(look());
  rows_[2][7] = std::numeric_limits<float>::infinity();
  EXPECT_FALSE(look());
}

// The error up to then is not in a checkpoint: only that it may be there.
TEST_F(Rows, AreHeldAgainstAllFoldsWhereARunGoesOn) {
  for (int round = 0; round < 1000; ++round) fold(static_cast<std::size_t>(round) % count, 100);
  EXPECT_TRUE(look());
  StateArchive saved;
  check_.visit_state(saved);
  check_ = {};
  StateArchive restored(saved.json(), "state");
  check_.visit_state(restored);
  mean_[0] += 0.02F;  // rounding explains 8·2⁻²⁴·1000·740
  EXPECT_TRUE(look());
  mean_[0] += 10;
  EXPECT_THAT(found([this] { look(); }), HasSubstr("folds since the look before explain"));
}

TEST(TableCheck, LooksWithTwiceTheDistanceEachTime) {
  TableCheck check;
  Checks checks;
  const auto nothing = [](const VectorVisitor&, const VectorVisitor&) {};
  EXPECT_FALSE(check.due(0));
  EXPECT_TRUE(check.due(1));
  check.look(nothing, 1, 0, checks);
  EXPECT_FALSE(check.due(2));
  check.look(nothing, 3, 0, checks);
  EXPECT_FALSE(check.due(6));
}

}  // namespace
}  // namespace tardigrad
