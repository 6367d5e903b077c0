#include "runtime/events/worker_health.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/events/event_source.h"
#include "tests/support/temporary_file.h"

namespace tardigrad {
namespace {

using ::testing::HasSubstr;

struct Health {
  explicit Health(const std::string& compute_time = "measured", std::optional<double> given_s = {})
      : delays(Delays::parse(compute_time, 3, 0)), timeout_s(given_s) {}

  WorkerHealth make(double time_unit_s = 1) { return {delays, speeds, time_unit_s, 3, timeout_s}; }

  Delays delays;
  EventScript speeds;
  std::optional<double> timeout_s;
};

void add_jobs(WorkerHealth& health, int worker, int count, double took_s) {
  for (int i = 0; i < count; ++i) health.add(worker, 0, took_s);
}

TEST(WorkerHealth, WhatIsNotKnownIsNotLate) {
  Health of;
  WorkerHealth health = of.make();
  EXPECT_EQ(health.timeout_s(0), EventSource::never);
  EXPECT_EQ(health.overdue_at(0, 0, 3), EventSource::never);
  add_jobs(health, 0, 2, 1);
  EXPECT_EQ(health.overdue_at(0, 2, 3), EventSource::never);
}

TEST(WorkerHealth, ALateJobTakesTwentyTimesItsWorkersMean) {
  Health of;
  WorkerHealth health = of.make();
  health.add(0, 0, 1);
  health.add(0, 1, 2);
  health.add(0, 3, 3);
  EXPECT_EQ(health.timeout_s(0), 40);
  EXPECT_EQ(health.overdue_at(0, 3, 6), 46);
  EXPECT_THAT(health.explain(0), HasSubstr("40 s: 20 times the worker's mean of 2 s"));
}

TEST(WorkerHealth, AWorkerThatIsNotKnownYetIsMeasuredByTheSlowest) {
  Health of;
  WorkerHealth health = of.make();
  add_jobs(health, 0, 3, 1);
  add_jobs(health, 1, 3, 4);
  add_jobs(health, 2, 2, 1000);
  EXPECT_EQ(health.timeout_s(2), 80);
  EXPECT_THAT(health.explain(2), HasSubstr("80 s: 20 times the slowest worker's mean of 4 s"));
  add_jobs(health, 2, 1, 1000);
  EXPECT_EQ(health.timeout_s(2), 20000);
  EXPECT_EQ(health.timeout_s(0), 20);
}

TEST(WorkerHealth, ShortJobsMayTakeSomeSeconds) {
  Health of;
  WorkerHealth health = of.make();
  add_jobs(health, 0, 10, 1e-3);
  EXPECT_EQ(health.timeout_s(0), WorkerHealth::least_s);
}

TEST(WorkerHealth, AGivenTimeOutHoldsFromTheBeginning) {
  Health of("measured", 0.25);
  WorkerHealth health = of.make();
  EXPECT_EQ(health.overdue_at(1, 0, 1), 1.25);
  add_jobs(health, 1, 3, 100);
  EXPECT_EQ(health.timeout_s(1), 0.25);
  EXPECT_THAT(health.explain(1), HasSubstr("0.25 s by --worker-timeout"));
}

// Jobs of 1, 2 and 400 units of half a second.
TEST(WorkerHealth, WhatTheDelayModelSaysIsAllowedBesides) {
  Health of("1,2,400", 3);
  const WorkerHealth health = of.make(0.5);
  EXPECT_EQ(health.overdue_at(0, 0, 10), 10 + 0.5 + 3);
  EXPECT_EQ(health.overdue_at(2, 7, 10), 10 + 200 + 3);
}

TEST(WorkerHealth, ASlowdownStretchesAllOfIt) {
  const TemporaryFile file;
  Health of("1,1,1", 3);
  of.speeds = EventScript::read(file.write("[[event]]\ntime = 10\nworker = 1\nslowdown = 100\n"), 3);
  const WorkerHealth health = of.make();
  EXPECT_EQ(health.overdue_at(0, 0, 20), 24);
  EXPECT_EQ(health.overdue_at(1, 0, 20), 420);
  EXPECT_EQ(health.overdue_at(1, 0, 8), 8 + 2 + 200);  // two units of work were done before it slowed down
}

// A worker that was slow is not given that time again on top of its next slowdown.
TEST(WorkerHealth, MeansAreOfWhatJobsTakeWithoutSlowdowns) {
  Health of;
  of.speeds.throttle("2=10x", 3);
  WorkerHealth health = of.make();
  add_jobs(health, 2, 3, 20);
  EXPECT_EQ(health.timeout_s(2), 40);
  EXPECT_EQ(health.overdue_at(2, 3, 0), 400);
}

}  // namespace
}  // namespace tardigrad
