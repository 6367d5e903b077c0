#include "runtime/events/stopwatch.h"

#include <gtest/gtest.h>

#include <chrono>
#include <ctime>
#include <limits>
#include <thread>

namespace tardigrad {
namespace {

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
    stopwatch.sleep_until(std::numeric_limits<double>::infinity(), stop.get_token());
    timespec used{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    processor_s = static_cast<double>(used.tv_sec) + 1e-9 * static_cast<double>(used.tv_nsec);
  });
  while (stopwatch.elapsed_s() < 30e-3) std::this_thread::yield();
  stop.request_stop();
  sleeper.join();
  EXPECT_LT(processor_s, 5e-3);  // going to sleep takes microseconds
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
  const auto paused_at = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() == paused_at) {
  }
  stopwatch.resume();
  EXPECT_GT(shown.paused_ns, before);
  stopwatch.show_pauses(nullptr);
  stopwatch.pause();
  EXPECT_EQ(shown.paused, 0U);
}

}  // namespace
}  // namespace tardigrad
