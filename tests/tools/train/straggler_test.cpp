#include "tools/report/straggler.h"

#include <gtest/gtest.h>

#include <vector>

namespace tardigrad {
namespace {

/// Four workers that have made ten gradients each in 100 s: 8 s of computing, 1 s of hand-over, ½ s of queue
/// each.
std::vector<WorkerTimes> even_workers() {
  WorkerTimes worker;
  worker.time = 100;
  worker.gradients = 10;
  worker.computing = 80;
  worker.handing_over = 10;
  worker.queueing = 5;
  return std::vector<WorkerTimes>(4, worker);
}

TEST(Straggler, IsNobodyAmongEvenWorkers) {
  std::vector<WorkerTimes> workers = even_workers();
  workers[2].computing = 90;
  const Straggler straggler = find_straggler(workers);
  EXPECT_EQ(straggler.cause, StragglerCause::none);
  EXPECT_EQ(straggler.worker, 2);
  EXPECT_DOUBLE_EQ(straggler.times_median, 10.5 / 9.5);
}

TEST(Straggler, IsWhoComputesLongest) {
  std::vector<WorkerTimes> workers = even_workers();
  workers[1].gradients = 4;
  const Straggler straggler = find_straggler(workers);
  EXPECT_EQ(straggler.cause, StragglerCause::compute);
  EXPECT_EQ(straggler.worker, 1);
  EXPECT_DOUBLE_EQ(straggler.time.computing, 20);
  EXPECT_DOUBLE_EQ(straggler.median.computing, 8);
  EXPECT_DOUBLE_EQ(straggler.times_median, 2.5);
  EXPECT_DOUBLE_EQ(straggler.gradients_share, 4.0 / 34);
}

TEST(Straggler, IsWhoseModelTakesLongestToCome) {
  std::vector<WorkerTimes> workers = even_workers();
  workers[3].gradients = 5;
  workers[3].computing = 42;
  workers[3].handing_over = 50;
  EXPECT_EQ(find_straggler(workers).cause, StragglerCause::transfer);
  EXPECT_EQ(find_straggler(workers).worker, 3);
}

TEST(Straggler, IsWhoseGradientsWaitLongestForTheServer) {
  std::vector<WorkerTimes> workers = even_workers();
  workers[0].queueing = 105;
  EXPECT_EQ(find_straggler(workers).cause, StragglerCause::queue);
  EXPECT_EQ(find_straggler(workers).worker, 0);
}

TEST(Straggler, IsWhoseGradientsNeverCome) {
  std::vector<WorkerTimes> workers = even_workers();
  workers[2] = {};
  workers[2].discarded = 95;
  workers[2].discarded_jobs = 6;
  const Straggler straggler = find_straggler(workers);
  EXPECT_EQ(straggler.cause, StragglerCause::unfinished);
  EXPECT_EQ(straggler.worker, 2);
}

TEST(Straggler, IsNobodyBeforeTheOthersHaveAFewGradients) {
  std::vector<WorkerTimes> workers(3);
  workers[0].gradients = 1;
  workers[0].computing = 1;
  EXPECT_EQ(find_straggler(workers).cause, StragglerCause::none);
  EXPECT_EQ(find_straggler(std::vector<WorkerTimes>(3)).cause, StragglerCause::none);
}

TEST(Straggler, CostsTheOthersTheirTimeWhereTheyWaitForIt) {
  std::vector<WorkerTimes> workers = even_workers();
  for (WorkerTimes& worker : workers) worker.time = 300;
  workers[1].computing = 280;  // a round-based method: all make as many gradients
  const Straggler straggler = find_straggler(workers);
  EXPECT_DOUBLE_EQ(straggler.idle_share, 1 - 290.0 / 300);
  EXPECT_DOUBLE_EQ(straggler.others_idle_share, 1 - 90.0 / 300);
}

}  // namespace
}  // namespace tardigrad
