#include "runtime/execution/completions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/runtime/device/backends.h"
#include "tests/support/experiment.h"

namespace tardigrad {
namespace {

class CompletionsContract : public testing::BackendTest {};

TEST_P(CompletionsContract, TurnaroundsAreMeasuredBesideBusyWorkers) {
  for (const Completions way : {Completions::polling, Completions::callback}) {
    for (const int workers : {1, 4}) {
      const std::vector<double> times_s = measure_turnarounds(device(), way, workers, 7);
      EXPECT_EQ(times_s.size(), 7U);
      EXPECT_TRUE(std::is_sorted(times_s.begin(), times_s.end()));
      EXPECT_GT(times_s.front(), 0);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, CompletionsContract, testing::every_backend(), testing::backend_name);

TEST(Completions, OnACpuStreamsCall) {
  EXPECT_EQ(faster_completions({Backend::cpu, 0}, 4), Completions::callback);
}

TEST(Completions, PolledRunsHearOfEveryGradient) {
  for (const char* method : {"dude", "sync", "ringmaster"}) {
    testing::Experiment experiment(4, method, "measured", testing::in_wall_time(200));
    experiment.options.completions = Completions::polling;
    const RunSummary summary = experiment.go();
    EXPECT_EQ(summary.updates, 200U);
    EXPECT_EQ(experiment.recorder.arrivals.size(), summary.gradients);
  }
}

}  // namespace
}  // namespace tardigrad
