#include "runtime/events/clock.h"

#include <gtest/gtest.h>

#include <ctime>
#include <thread>
#include <vector>

namespace tardigrad {
namespace {

TEST(VirtualClock, ArrivalsComeInOrderOfTimeThenWorker) {
  const Delays delays = Delays::parse("3,1,1.5", 3, 0);
  const EventScript speeds;
  VirtualClock clock(delays, speeds, 3);
  for (int worker = 2; worker >= 0; --worker) clock.start_job(worker, 0);
  std::vector<std::pair<double, int>> seen;
  for (int i = 0; i < 6; ++i) {
    const auto arrived = clock.next(Clock::never, {});
    ASSERT_TRUE(arrived);
    EXPECT_EQ(clock.now(), arrived->time);
    seen.emplace_back(arrived->time, arrived->worker);
    clock.start_job(arrived->worker, 1);
  }
  const std::vector<std::pair<double, int>> expected = {{1, 1}, {1.5, 2}, {2, 1}, {3, 0}, {3, 1}, {3, 2}};
  EXPECT_EQ(seen, expected);
}

TEST(VirtualClock, StopsAtTheDeadline) {
  const Delays delays = Delays::parse("3", 1, 0);
  const EventScript speeds;
  VirtualClock clock(delays, speeds, 3);
  clock.start_job(0, 0);
  EXPECT_FALSE(clock.next(2.5, {}));
  EXPECT_EQ(clock.now(), 2.5);
  EXPECT_TRUE(clock.next(3, {}));
  EXPECT_EQ(clock.now(), 3);
}

TEST(VirtualClock, StopsWhenAsked) {
  const Delays delays = Delays::parse("3", 1, 0);
  const EventScript speeds;
  VirtualClock clock(delays, speeds, 3);
  clock.start_job(0, 0);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_FALSE(clock.next(Clock::never, stop.get_token()));
  EXPECT_EQ(clock.now(), 0);
}

TEST(Stopwatch, StandsWhilePaused) {
  Stopwatch stopwatch;
  EXPECT_EQ(stopwatch.elapsed_s(), 0);
  stopwatch.resume();
  while (stopwatch.elapsed_s() < 1e-4) {
  }
  stopwatch.pause();
  EXPECT_FALSE(stopwatch.running());
  const double paused_at_s = stopwatch.elapsed_s();
  EXPECT_GE(paused_at_s, 1e-4);
  EXPECT_EQ(stopwatch.elapsed_s(), paused_at_s);
  stopwatch.resume();
  while (stopwatch.elapsed_s() <= paused_at_s) {
  }
}

TEST(Stopwatch, SleepersWaitForItsOwnTime) {
  Stopwatch stopwatch;
  double woken_at_s = 0;
  std::jthread sleeper([&](const std::stop_token& stop) {
    stopwatch.sleep_until(2e-3, stop);  // sleeps on while the watch stands still
    woken_at_s = stopwatch.elapsed_s();
  });
  stopwatch.resume();
  while (stopwatch.elapsed_s() < 1e-3) {
  }
  stopwatch.pause();
  stopwatch.resume();
  sleeper.join();
  EXPECT_GE(woken_at_s, 2e-3);
}

TEST(Stopwatch, AStopEndsTheSleep) {
  Stopwatch stopwatch;
  stopwatch.resume();
  std::stop_source stop;
  std::jthread sleeper([&] { stopwatch.sleep_until(1e9, stop.get_token()); });
  stop.request_stop();
  sleeper.join();
  EXPECT_LT(stopwatch.elapsed_s(), 1e9);
}

TEST(Stopwatch, SleepingForEverTakesNoProcessorTime) {
  Stopwatch stopwatch;
  stopwatch.resume();
  std::stop_source stop;
  double processor_s = 0;
  std::jthread sleeper([&] {
    stopwatch.sleep_until(Clock::never, stop.get_token());
    timespec used{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    processor_s = static_cast<double>(used.tv_sec) + 1e-9 * static_cast<double>(used.tv_nsec);
  });
  while (stopwatch.elapsed_s() < 30e-3) std::this_thread::yield();
  stop.request_stop();
  sleeper.join();
  EXPECT_LT(processor_s, 5e-3);  // going to sleep takes microseconds
}

TEST(WallClock, HandsOutArrivalsInTheirOrder) {
  Stopwatch stopwatch;
  stopwatch.resume();
  const EventScript speeds;
  WallClock clock(stopwatch, speeds, 1);
  std::jthread other([&] {
    for (int worker : {2, 0, 1}) clock.gradient_complete(worker);
  });
  double last = 0;
  for (int worker : {2, 0, 1}) {
    auto arrived = clock.next(Clock::never, {});
    while (!arrived) arrived = clock.next(Clock::never, {});
    EXPECT_EQ(arrived->worker, worker);
    EXPECT_GE(arrived->time, last);
    last = arrived->time;
  }
}

TEST(WallClock, KeepsWhatComesAfterTheDeadline) {
  Stopwatch stopwatch;
  stopwatch.resume();
  while (stopwatch.elapsed_s() < 1e-4) {
  }
  const EventScript speeds;
  WallClock clock(stopwatch, speeds, 1);
  clock.gradient_complete(5);
  EXPECT_FALSE(clock.next(5e-5, {}));
  const auto arrived = clock.next(Clock::never, {});
  ASSERT_TRUE(arrived);
  EXPECT_EQ(arrived->worker, 5);
}

TEST(WallClock, AStopEndsTheWait) {
  Stopwatch stopwatch;
  const EventScript speeds;
  WallClock clock(stopwatch, speeds, 1);
  std::stop_source stop;
  std::jthread stopper([&] { stop.request_stop(); });
  while (!stop.stop_requested()) {
    EXPECT_FALSE(clock.next(Clock::never, stop.get_token()));
  }
}

TEST(WallClock, AsksForWhatIsComplete) {
  Stopwatch stopwatch;
  stopwatch.resume();
  const EventScript speeds;
  WallClock clock(stopwatch, speeds, 1);
  int asked = 0;
  clock.poll_with([&] {
    if (++asked == 3) {
      clock.gradient_complete(4);
      clock.gradient_complete(1);
    }
  });
  const auto first = clock.next(Clock::never, {});
  const auto second = clock.next(Clock::never, {});
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->worker, 4);
  EXPECT_EQ(second->worker, 1);
  EXPECT_GE(asked, 3);
}

TEST(WallClock, AskingEndsWithAStop) {
  Stopwatch stopwatch;
  const EventScript speeds;
  WallClock clock(stopwatch, speeds, 1);
  std::stop_source stop;
  clock.poll_with([&] { stop.request_stop(); });
  EXPECT_FALSE(clock.next(Clock::never, stop.get_token()));
}

TEST(Stopwatch, ShowsItsPauses) {
  Stopwatch stopwatch;
  PauseState shown;
  stopwatch.show_pauses(&shown);
  EXPECT_EQ(shown.paused, 1U);
  stopwatch.resume();
  EXPECT_EQ(shown.paused, 0U);
  const std::uint64_t before = shown.paused_ns;
  stopwatch.pause();
  EXPECT_EQ(shown.paused, 1U);
  EXPECT_EQ(shown.paused_ns, before);
  stopwatch.resume();
  EXPECT_GT(shown.paused_ns, before);
  stopwatch.show_pauses(nullptr);
  stopwatch.pause();
  EXPECT_EQ(shown.paused, 0U);
}

TEST(WallClock, ReturnsNothingNowAndThenThoughArrivalsCome) {
  Stopwatch stopwatch;
  stopwatch.resume();
  const EventScript speeds;
  WallClock clock(stopwatch, speeds, 1);
  int looks = 0;
  while (looks < 2) {  // one every half second
    clock.gradient_complete(1);
    if (!clock.next(Clock::never, {})) ++looks;
    ASSERT_LT(stopwatch.elapsed_s(), 60);
  }
  EXPECT_GE(stopwatch.elapsed_s(), 1);
}

}  // namespace
}  // namespace tardigrad
