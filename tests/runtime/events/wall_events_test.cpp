#include "runtime/events/wall_events.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace tardigrad {
namespace {

/// The next arrival, for whoever stands still for half a second: nothing comes before it then.
EventSource::Event next_arrival(WallEvents& clock) {
  auto arrived = clock.next(EventSource::never, {});
  while (!arrived) arrived = clock.next(EventSource::never, {});
  return *arrived;
}

TEST(WallEvents, HandsOutArrivalsInTheirOrder) {
  Stopwatch stopwatch;
  stopwatch.resume();
  const EventScript speeds;
  WallEvents clock(stopwatch, speeds, 1);
  std::jthread other([&] {
    for (int worker : {2, 0, 1}) clock.gradient_complete(worker);
  });
  double last = 0;
  for (int worker : {2, 0, 1}) {
    const EventSource::Event arrived = next_arrival(clock);
    EXPECT_EQ(arrived.worker, worker);
    EXPECT_GE(arrived.time, last);
    last = arrived.time;
  }
}

TEST(WallEvents, KeepsWhatComesAfterTheDeadline) {
  Stopwatch stopwatch;
  stopwatch.resume();
  while (stopwatch.elapsed_s() < 1e-4) {
  }
  const EventScript speeds;
  WallEvents clock(stopwatch, speeds, 1);
  clock.gradient_complete(5);
  EXPECT_FALSE(clock.next(5e-5, {}));
  EXPECT_EQ(next_arrival(clock).worker, 5);
}

TEST(WallEvents, AStopEndsTheWait) {
  Stopwatch stopwatch;
  const EventScript speeds;
  WallEvents clock(stopwatch, speeds, 1);
  std::stop_source stop;
  std::jthread stopper([&] { stop.request_stop(); });
  while (!stop.stop_requested()) EXPECT_FALSE(clock.next(EventSource::never, stop.get_token()));
}

TEST(WallEvents, AsksForWhatIsComplete) {
  Stopwatch stopwatch;
  stopwatch.resume();
  const EventScript speeds;
  WallEvents clock(stopwatch, speeds, 1);
  int asked = 0;
  clock.poll_with([&] {
    if (++asked == 3) {
      clock.gradient_complete(4);
      clock.gradient_complete(1);
    }
  });
  EXPECT_EQ(next_arrival(clock).worker, 4);
  EXPECT_EQ(next_arrival(clock).worker, 1);
  EXPECT_GE(asked, 3);
}

TEST(WallEvents, LooksWhenItIsWoken) {
  Stopwatch stopwatch;
  stopwatch.resume();
  const EventScript speeds;
  WallEvents clock(stopwatch, speeds, 1);
  int looks = 0;
  clock.look_when_woken([&] {
    if (++looks == 2) clock.gradient_complete(3);
    if (looks < 2) clock.wake();
  });
  std::jthread other([&] { clock.wake(); });
  EXPECT_EQ(next_arrival(clock).worker, 3);
  EXPECT_EQ(looks, 2);
}

TEST(WallEvents, TakesWhatIsKnownOfTheBeginningOfAJob) {
  Stopwatch stopwatch;
  stopwatch.resume();
  const EventScript speeds;
  WallEvents clock(stopwatch, speeds, 1);
  const double first = clock.gradient_complete(0);
  const double second = clock.gradient_complete(0, first);
  EXPECT_FALSE(next_arrival(clock).compute_time);
  EXPECT_EQ(next_arrival(clock).compute_time, second - first);
}

TEST(WallEvents, AskingEndsWithAStop) {
  Stopwatch stopwatch;
  const EventScript speeds;
  WallEvents clock(stopwatch, speeds, 1);
  std::stop_source stop;
  clock.poll_with([&] { stop.request_stop(); });
  EXPECT_FALSE(clock.next(EventSource::never, stop.get_token()));
}

TEST(WallEvents, ReturnsNothingNowAndThenThoughArrivalsCome) {
  Stopwatch stopwatch;
  stopwatch.resume();
  const EventScript speeds;
  WallEvents clock(stopwatch, speeds, 1);
  int looks = 0;
  while (looks < 2) {  // one every half second
    clock.gradient_complete(1);
    if (!clock.next(EventSource::never, {})) ++looks;
    ASSERT_LT(stopwatch.elapsed_s(), 60);
  }
  EXPECT_GE(stopwatch.elapsed_s(), 1);
}

}  // namespace
}  // namespace tardigrad
