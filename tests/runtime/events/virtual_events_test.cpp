// Virtual time against a plain set of (end, worker), and what scripted changes do to both times.

#include "runtime/events/virtual_events.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <tuple>
#include <vector>

#include "runtime/events/wall_events.h"
#include "tests/support/temporary_file.h"

namespace tardigrad {
namespace {

using Sequence = std::vector<std::pair<double, int>>;

/// The next arrivals of workers that go on at once, each with its next job.
Sequence next_arrivals(VirtualEvents& clock, int count, std::vector<std::uint64_t>& jobs) {
  Sequence seen;
  for (int i = 0; i < count; ++i) {
    const auto arrived = clock.next(EventSource::never, {});
    if (!arrived) break;
    seen.emplace_back(arrived->time, arrived->worker);
    clock.start_job(arrived->worker, ++jobs[static_cast<std::size_t>(arrived->worker)]);
  }
  return seen;
}

/// A clock and the jobs that its workers have begun, the first of each at time 0.
struct Running {
  Running(const std::string& compute_time, int workers, const std::string& events = "", double bytes = 0)
      : delays(Delays::parse(compute_time, workers, 0)),
        speeds(events.empty() ? EventScript() : EventScript::read(file.write(events), workers)),
        clock(delays, speeds, workers, bytes),
        jobs(static_cast<std::size_t>(workers)) {
    for (int worker = 0; worker < workers; ++worker) clock.start_job(worker, 0);
  }
  Sequence next(int count) { return next_arrivals(clock, count, jobs); }

  TemporaryFile file;
  Delays delays;
  EventScript speeds;
  VirtualEvents clock;
  std::vector<std::uint64_t> jobs;
};

TEST(VirtualEvents, TiesGoToTheLowerIndex) {
  for (const int workers : {1, 2, 3, 5, 8, 13}) {
    Running run("linear:2:0", workers);
    Sequence expected;
    for (const double time : {2, 4, 6}) {
      for (int worker = 0; worker < workers; ++worker) expected.emplace_back(time, worker);
    }
    EXPECT_EQ(run.next(3 * workers), expected);
  }
}

TEST(VirtualEvents, ADiscardedJobNeverArrivesAndDisturbsNobody) {
  Running run("2,3,5", 3);
  EXPECT_EQ(run.next(1), (Sequence{{2, 0}}));
  run.clock.discard(1);
  EXPECT_EQ(run.next(2), (Sequence{{4, 0}, {5, 2}}));
  run.clock.start_job(1, 1);  // from 5 to 8
  EXPECT_EQ(run.next(3), (Sequence{{6, 0}, {8, 0}, {8, 1}}));
}

TEST(VirtualEvents, ADiscardAndAStartAtOnceBeginAnew) {
  Running run("2,3,5", 3);
  EXPECT_EQ(run.next(1), (Sequence{{2, 0}}));
  run.clock.discard(1);
  run.clock.start_job(1, 1);  // from 2 to 5
  EXPECT_EQ(run.next(3), (Sequence{{4, 0}, {5, 1}, {5, 2}}));
}

// A vector takes 1 of the link and 0.5 besides. Models leave at 1 and 2, are there at 1.5 and 2.5; both
// gradients, of 3 and 2, are ready at 4.5: the first of equals has its turn until 5.5, the other until 6.5.
TEST(VirtualEvents, ModelsAndGradientsWaitForTheirTurnOnANetwork) {
  Running run("3,2+network:0.5:10", 2, "", 10);
  EXPECT_EQ(run.next(2), (Sequence{{6, 0}, {7, 1}}));
  // Their models leave at 6 to 7 and 7 to 8; gradients are ready at 10.5 and 10.5.
  EXPECT_EQ(run.next(2), (Sequence{{12, 0}, {13, 1}}));
}

TEST(VirtualEvents, AFullLinkLetsThroughWhatItCan) {
  Running run("linear:1:0+network:2:4", 50, "", 8);  // half a gradient a unit; computing takes 1
  const Sequence seen = run.next(200);
  for (std::size_t i = 1; i < seen.size(); ++i) EXPECT_EQ(seen[i].first - seen[i - 1].first, 2);
}

TEST(VirtualEvents, AGradientOnItsWayIsLostWithItsWorkerAndTakesNoTurn) {
  Running run("1,0.5+network:0:1", 2, "[[event]]\ntime = 3.5\nworker = 0\nstate = \"failed\"\n", 2);
  // Models until 2 and 4, computed at 3 and 4.5; the first gradient would have had its turn until 5.
  const auto lost = run.clock.next(EventSource::never, {});
  ASSERT_TRUE(lost);
  EXPECT_EQ(lost->kind, EventSource::Kind::lost);
  EXPECT_EQ(lost->time, 3.5);
  run.clock.discard(0);
  EXPECT_EQ(run.next(1), (Sequence{{6.5, 1}}));
}

// A turn is 10. Of worker 1 the model waits for its turn when it is thrown away, and takes none.
TEST(VirtualEvents, AModelThatNobodyWaitsForIsNotSent) {
  Running run("1,1,1+network:0:1", 3, "", 10);
  run.clock.discard(1);
  EXPECT_FALSE(run.clock.is_computing(1));
  EXPECT_TRUE(run.clock.is_computing(2));
  EXPECT_EQ(run.next(2), (Sequence{{21, 0}, {31, 2}}));
}

// Worker 0's model would have left at 10.
TEST(VirtualEvents, AModelOnItsWayIsCutOffWithItsJob) {
  Running run("1,1+network:0:1", 2, "[[event]]\ntime = 4\nworker = 0\nstate = \"failed\"\n", 10);
  EXPECT_EQ(run.clock.next(EventSource::never, {})->kind, EventSource::Kind::lost);
  run.clock.discard(0);
  EXPECT_EQ(run.next(1), (Sequence{{25, 1}}));  // its model from 4 to 14, its gradient from 15 on
}

// Worker 0's gradient has had the link from 22 to 31; that of worker 1 has been ready since 23.
TEST(VirtualEvents, AGradientOnItsWayHasTheLinkUntilItIsCutOff) {
  Running run("12,3+network:0:8", 2, "[[event]]\ntime = 31\nworker = 0\nstate = \"failed\"\n", 80);
  EXPECT_EQ(run.clock.next(EventSource::never, {})->kind, EventSource::Kind::lost);
  run.clock.discard(0);
  EXPECT_EQ(run.next(1), (Sequence{{41, 1}}));
}

TEST(VirtualEvents, ANetworkThatTakesForEverIsRefused) {
  const EventScript speeds;
  for (const char* network : {"1e308:1", "0:1e-308", "1e100:1"}) {
    const Delays delays = Delays::parse(std::string("1+network:") + network, 1, 0);
    EXPECT_THROW(VirtualEvents(delays, speeds, 1, 80), std::invalid_argument) << network;
  }
}

TEST(VirtualEvents, AGradientOnItsWayDoesNotComeBeforeADeadline) {
  Running run("1+network:0:1", 1, "", 1);
  EXPECT_FALSE(run.clock.next(2.5, {}));
  EXPECT_EQ(run.clock.now(), 2.5);
  EXPECT_EQ(run.next(1), (Sequence{{3, 0}}));
}

TEST(VirtualEvents, WhereNoJobGoesOnNothingComes) {
  Running run("2,3", 2);
  run.clock.discard(1);
  EXPECT_EQ(run.clock.next(EventSource::never, {})->worker, 0);
  EXPECT_FALSE(run.clock.next(EventSource::never, {}));
  EXPECT_EQ(run.clock.now(), 2);
  EXPECT_FALSE(run.clock.next(7, {}));
  EXPECT_EQ(run.clock.now(), 7);
  run.clock.start_job(0, 1);
  EXPECT_EQ(run.clock.next(EventSource::never, {})->time, 9);
}

/// Does to a clock and to a plain set what chance wants, and compares.
class Comparison {
 public:
  Comparison(int workers, const Delays& delays, unsigned seed)
      : workers_(workers),
        delays_(delays),
        clock_(delays, speeds_, workers),
        jobs_(static_cast<std::size_t>(workers)),
        ends_(jobs_.size(), EventSource::never),
        random_(seed) {
    for (int worker = 0; worker < workers; ++worker) start(worker);
  }

  void step() {
    if (chance(10)) discard(pick());
    if (chance(20)) start_if_idle(pick());
    const double first = queue_.empty() ? EventSource::never : queue_.begin()->first;
    if (first < EventSource::never && chance(10)) return stop_before(first);
    const auto arrived = clock_.next(EventSource::never, {});
    ASSERT_EQ(arrived.has_value(), !queue_.empty());
    if (!arrived) return start(pick());
    ASSERT_EQ(std::pair(arrived->time, arrived->worker), *queue_.begin());
    ASSERT_EQ(clock_.now(), first);
    queue_.erase(queue_.begin());
    ends_[static_cast<std::size_t>(arrived->worker)] = EventSource::never;
    now_ = first;
    if (!chance(15)) start(arrived->worker);
  }

 private:
  bool chance(int percent) { return static_cast<int>(random_() % 100) < percent; }
  int pick() { return static_cast<int>(random_() % static_cast<unsigned>(workers_)); }
  double& end_of(int worker) { return ends_[static_cast<std::size_t>(worker)]; }

  void start(int worker) {
    const std::uint64_t job = jobs_[static_cast<std::size_t>(worker)]++;
    clock_.start_job(worker, job);
    end_of(worker) = now_ + delays_.duration(worker, job);
    queue_.emplace(end_of(worker), worker);
  }

  void start_if_idle(int worker) {
    if (end_of(worker) == EventSource::never) start(worker);
  }

  void discard(int worker) {
    if (queue_.erase({end_of(worker), worker}) == 0) return;
    end_of(worker) = EventSource::never;
    clock_.discard(worker);
    if (chance(50)) start(worker);
  }

  void stop_before(double first) {
    const double deadline = now_ + (first - now_) / 2;
    if (deadline == first) return;
    EXPECT_FALSE(clock_.next(deadline, {}));
    EXPECT_EQ(clock_.now(), deadline);
    now_ = deadline;
  }

  int workers_;
  const Delays& delays_;
  EventScript speeds_;
  VirtualEvents clock_;
  double now_ = 0;
  std::vector<std::uint64_t> jobs_;
  std::vector<double> ends_;
  std::set<std::pair<double, int>> queue_;
  std::mt19937 random_;
};

TEST(VirtualEvents, AgreesWithAPlainQueueWhateverHappens) {
  for (const char* compute_time : {"lognormal:0:1+exponential", "linear:1:1", "linear:1:0"}) {
    for (unsigned seed = 0; seed < 40; ++seed) {
      const int workers = 1 + static_cast<int>(seed * 7 % 40);
      SCOPED_TRACE(std::string(compute_time) + ", workers: " + std::to_string(workers));
      const Delays delays = Delays::parse(compute_time, workers, seed);
      Comparison comparison(workers, delays, seed);
      for (int i = 0; i < 300 && !::testing::Test::HasFatalFailure(); ++i) comparison.step();
    }
  }
}

TEST(VirtualEvents, ASlowdownStretchesWhatIsLeftOfAJob) {
  Running run("2,3", 2, R"(
[[event]]
time = 5
worker = 0
slowdown = 4
[[event]]
time = 14
worker = 0
slowdown = 1
)");
  // Worker 0's third job has done 1 unit at 5, its second at 9; the fourth 1¼ at 14, the rest at 14¾.
  EXPECT_EQ(
      run.next(10),
      (Sequence{{2, 0}, {3, 1}, {4, 0}, {6, 1}, {9, 0}, {9, 1}, {12, 1}, {14.75, 0}, {15, 1}, {16.75, 0}}));
}

constexpr const char* both_fail = R"(
[[event]]
time = 3
worker = 0
state = "failed"
[[event]]
time = 3
worker = 1
state = "failed"
)";

const std::string one_fails_and_returns = std::string(both_fail) + R"(
[[event]]
time = 10
worker = 0
state = "working"
)";

using Kind = EventSource::Kind;

/// What comes next, and when.
std::tuple<double, int, Kind> next_of(EventSource& clock) {
  const auto next = clock.next(EventSource::never, {});
  return next ? std::tuple(next->time, next->worker, next->kind)
              : std::tuple(EventSource::never, -1, Kind::lost);
}

// What ends at the time of a failure has ended; failures of one time come in the order of the script.
TEST(VirtualEvents, LossesAndReturnsComeInTheOrderOfTheirTimes) {
  Running run("2,3", 2, one_fails_and_returns);
  EXPECT_TRUE(run.clock.expects_changes());
  EXPECT_EQ(run.next(1), (Sequence{{2, 0}}));
  EXPECT_EQ(next_of(run.clock), std::tuple(3.0, 1, Kind::end_of_job));
  EXPECT_EQ(next_of(run.clock), std::tuple(3.0, 0, Kind::lost));
  EXPECT_EQ(run.clock.now(), 3);
  run.clock.discard(0);
  EXPECT_EQ(next_of(run.clock), std::tuple(3.0, 1, Kind::lost));
  EXPECT_TRUE(run.clock.expects_changes());
  EXPECT_FALSE(run.clock.next(7, {}));
  EXPECT_EQ(run.clock.now(), 7);
  EXPECT_EQ(next_of(run.clock), std::tuple(10.0, 0, Kind::back));
  EXPECT_EQ(run.clock.now(), 10);
  EXPECT_FALSE(run.clock.expects_changes());
  run.clock.start_job(0, 2);
  EXPECT_EQ(next_of(run.clock), std::tuple(12.0, 0, Kind::end_of_job));
  EXPECT_FALSE(run.clock.next(EventSource::never, {}));
}

TEST(WallEvents, LossesAndReturnsComeWhenTheyAreDue) {
  const TemporaryFile file;
  const EventScript speeds = EventScript::read(file.write(one_fails_and_returns), 2);
  Stopwatch stopwatch;
  WallEvents clock(stopwatch, speeds, 1e-3);
  stopwatch.resume();
  std::vector<std::tuple<double, int, Kind>> seen;
  while (clock.expects_changes()) {
    const auto next = clock.next(EventSource::never, {});
    if (next) {
      EXPECT_GE(stopwatch.elapsed_s(), next->time);
      seen.emplace_back(next->time, next->worker, next->kind);
    }
    ASSERT_LT(stopwatch.elapsed_s(), 60);
  }
  EXPECT_EQ(seen, (std::vector<std::tuple<double, int, Kind>>{
                      {3e-3, 0, Kind::lost}, {3e-3, 1, Kind::lost}, {10e-3, 0, Kind::back}}));
}

TEST(WallEvents, WhatHasArrivedBeforeALossComesFirst) {
  const TemporaryFile file;
  const EventScript speeds = EventScript::read(file.write(both_fail), 2);
  Stopwatch stopwatch;
  WallEvents clock(stopwatch, speeds, 1e-3);
  clock.gradient_complete(1);  // at 0
  stopwatch.resume();
  while (stopwatch.elapsed_s() < 4e-3) {
  }
  clock.gradient_complete(0);
  const auto next_kind = [&clock] {  // nothing comes now and then, first of all where the machine stalls
    auto next = clock.next(EventSource::never, {});
    while (!next) next = clock.next(EventSource::never, {});
    return next->kind;
  };
  EXPECT_EQ(next_kind(), Kind::end_of_job);
  EXPECT_FALSE(clock.next(2e-3, {}));
  EXPECT_EQ(next_kind(), Kind::lost);
  EXPECT_EQ(next_kind(), Kind::lost);
  EXPECT_EQ(next_kind(), Kind::end_of_job);
}

TEST(VirtualEvents, ArrivalsComeInOrderOfTimeThenWorker) {
  const Delays delays = Delays::parse("3,1,1.5", 3, 0);
  const EventScript speeds;
  VirtualEvents clock(delays, speeds, 3);
  for (int worker = 2; worker >= 0; --worker) clock.start_job(worker, 0);
  std::vector<std::pair<double, int>> seen;
  for (int i = 0; i < 6; ++i) {
    const auto arrived = clock.next(EventSource::never, {});
    ASSERT_TRUE(arrived);
    EXPECT_EQ(clock.now(), arrived->time);
    seen.emplace_back(arrived->time, arrived->worker);
    clock.start_job(arrived->worker, 1);
  }
  const std::vector<std::pair<double, int>> expected = {{1, 1}, {1.5, 2}, {2, 1}, {3, 0}, {3, 1}, {3, 2}};
  EXPECT_EQ(seen, expected);
}

TEST(VirtualEvents, StopsAtTheDeadline) {
  const Delays delays = Delays::parse("3", 1, 0);
  const EventScript speeds;
  VirtualEvents clock(delays, speeds, 3);
  clock.start_job(0, 0);
  EXPECT_FALSE(clock.next(2.5, {}));
  EXPECT_EQ(clock.now(), 2.5);
  EXPECT_TRUE(clock.next(3, {}));
  EXPECT_EQ(clock.now(), 3);
}

TEST(VirtualEvents, StopsWhenAsked) {
  const Delays delays = Delays::parse("3", 1, 0);
  const EventScript speeds;
  VirtualEvents clock(delays, speeds, 3);
  clock.start_job(0, 0);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_FALSE(clock.next(EventSource::never, stop.get_token()));
  EXPECT_EQ(clock.now(), 0);
}

}  // namespace
}  // namespace tardigrad
