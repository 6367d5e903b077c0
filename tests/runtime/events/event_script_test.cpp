#include "runtime/events/event_script.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/random.h"
#include "tests/support/temporary_file.h"

namespace tardigrad {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::StartsWith;

constexpr double never = std::numeric_limits<double>::infinity();

/// The script of a few events; `what` is a line such as `slowdown = 2`.
struct Line {
  double time;
  int worker;
  std::string what;
};

std::string toml(const std::vector<Line>& lines) {
  std::string text;
  for (const auto& [time, worker, what] : lines) {
    text += fmt::format("[[event]]\ntime = {}\nworker = {}\n{}\n", time, worker, what);
  }
  return text;
}

EventScript script(const std::vector<Line>& lines, int workers = 3) {
  const TemporaryFile file;
  return EventScript::read(file.write(toml(lines)), workers);
}

const std::string fails = "state = \"failed\"";
const std::string returns = "state = \"working\"";

TEST(EventScript, WithoutEventsAJobTakesItsWork) {
  EXPECT_EQ(EventScript().end_time(7, 0.1, 0.2), 0.1 + 0.2);
  EXPECT_EQ(script({}).end_time(2, 0.1, 0.2), 0.1 + 0.2);
  EXPECT_EQ(script({{0.15, 1, fails}}).end_time(2, 0.1, 0.2), 0.1 + 0.2);
}

TEST(EventScript, EventsThatChangeNothingLeaveTheSumExact) {
  const EventScript speeds = script({{0.15, 0, "slowdown = 1"}, {0.25, 0, "slowdown = 1.0"}});
  EXPECT_EQ(speeds.end_time(0, 0.1, 0.2), 0.1 + 0.2);
}

TEST(EventScript, SlowInTheMiddleOfAJob) {
  const EventScript speeds = script({{10, 1, "slowdown = 4"}, {18, 1, "slowdown = 1"}});
  EXPECT_EQ(speeds.end_time(1, 0, 8), 8);    // before
  EXPECT_EQ(speeds.end_time(1, 8, 3), 14);   // 2 done before, 1 at a quarter of the speed
  EXPECT_EQ(speeds.end_time(1, 8, 8), 22);   // 2 before, 2 meanwhile, 4 after
  EXPECT_EQ(speeds.end_time(1, 11, 1), 15);  // meanwhile
  EXPECT_EQ(speeds.end_time(1, 30, 3), 33);  // after
  EXPECT_EQ(speeds.end_time(0, 8, 8), 16);   // another worker
}

TEST(EventScript, AThrottledWorkerTakesSoManyTimesAsLong) {
  EventScript speeds;
  speeds.throttle("2=5x,0=1.5x", 3);
  EXPECT_TRUE(speeds.any());
  EXPECT_EQ(speeds.end_time(0, 1, 2), 4);
  EXPECT_EQ(speeds.end_time(1, 1, 2), 3);
  EXPECT_EQ(speeds.end_time(2, 1, 2), 11);
}

TEST(EventScript, AThrottleComesOnTopOfEvents) {
  EventScript speeds = script({{10, 1, "slowdown = 4"}});
  speeds.throttle("1=2x", 3);
  EXPECT_EQ(speeds.end_time(1, 0, 3), 6);
  EXPECT_EQ(speeds.end_time(1, 20, 1), 28);
}

TEST(EventScript, AThrottleThatCannotBeReadIsRefused) {
  for (const std::string text :
       {"2", "2=5", "2=0x", "2=-1x", "2=nanx", "2=infx", "a=2x", "2=x", "1=2x,,2=2x", ","}) {
    EventScript speeds;
    EXPECT_THAT([&] { speeds.throttle(text, 3); }, ::testing::ThrowsMessage<std::invalid_argument>(
                                                       StartsWith("--throttle " + text + ": expected")));
  }
  for (const std::string worker : {"3", "-1", "99999999999"}) {
    const std::string text = worker + "=5x";
    EventScript speeds;
    EXPECT_THAT([&] { speeds.throttle(text, 3); }, ::testing::ThrowsMessage<std::invalid_argument>(
                                                       "--throttle " + text + ": there is no worker " +
                                                       worker + "; expected workers from 0 to 2"));
  }
}

TEST(EventScript, TheSlowdownOfATime) {
  EventScript speeds =
      script({{5, 0, "slowdown = 3"}, {10, 0, fails}, {12, 0, "slowdown = 7"}, {15, 0, returns}});
  EXPECT_EQ(speeds.slowdown(0, 1), 1);
  EXPECT_EQ(speeds.slowdown(0, 5), 3);
  EXPECT_EQ(speeds.slowdown(0, 11), 3);
  EXPECT_EQ(speeds.slowdown(0, 30), 7);
  EXPECT_EQ(speeds.slowdown(2, 20), 1);
  speeds.throttle("0=2x", 3);
  EXPECT_EQ(speeds.slowdown(0, 1), 2);
  EXPECT_EQ(EventScript().slowdown(2, 20), 1);
}

TEST(EventScript, FailuresAndReturnsAreListedInTheirOrder) {
  const EventScript speeds = script({{5, 2, "slowdown = 3"},
                                     {10, 0, fails},
                                     {10, 1, fails},
                                     {12, 1, "slowdown = 2"},
                                     {15, 0, returns},
                                     {15, 0, fails}});
  const auto is = [](double time, int worker, bool lost) {
    return AllOf(Field(&EventScript::Change::time, time), Field(&EventScript::Change::worker, worker),
                 Field(&EventScript::Change::lost, lost));
  };
  EXPECT_THAT(speeds.changes(),
              ElementsAre(is(10, 0, true), is(10, 1, true), is(15, 0, false), is(15, 0, true)));
  EXPECT_TRUE(EventScript().changes().empty());
}

TEST(EventScript, FasterThanAtTheBeginning) {
  EXPECT_EQ(script({{10, 1, "slowdown = 0.5"}}).end_time(1, 8, 6), 12);
}

TEST(EventScript, AnEventCountsFromItsVeryTimeOn) {
  const EventScript speeds = script({{10, 0, "slowdown = 2"}});
  EXPECT_EQ(speeds.end_time(0, 4, 6), 10);   // ends as the worker slows down
  EXPECT_EQ(speeds.end_time(0, 10, 3), 16);  // begins as it does
  EXPECT_EQ(script({{0, 0, "slowdown = 3"}}).end_time(0, 0, 5), 15);
}

// The worker is taken out with its job, so that no end depends on it.
TEST(EventScript, AReturnKeepsTheSlowdown) {
  const EventScript speeds =
      script({{5, 0, "slowdown = 4"}, {10, 0, fails}, {12, 0, "slowdown = 2"}, {15, 0, returns}});
  EXPECT_EQ(speeds.end_time(0, 15, 3), 21);
  EXPECT_EQ(script({{5, 0, "slowdown = 4"}, {10, 0, fails}, {15, 0, returns}}).end_time(0, 15, 3), 27);
}

/// The end of a job by steps of 1/8, in which nothing happens: dyadic numbers, so without rounding.
double stepped_end(std::span<const Line> events, double start, double work) {
  constexpr double step = 0.125;
  constexpr double horizon = 200;
  double slowdown = 1;
  double done = 0;
  for (double time = 0; time < horizon; time += step) {
    for (; !events.empty() && events.front().time <= time; events = events.subspan(1)) {
      const std::string& what = events.front().what;
      if (what.starts_with("slowdown")) slowdown = std::stod(what.substr(what.find('=') + 1));
    }
    if (time < start) continue;
    const double end = time + (work - done) * slowdown;
    if (end <= time + step) return end;
    done += step / slowdown;
  }
  return never;
}

/// A script of one worker with times and slowdowns that the steps can follow.
std::vector<Line> random_events(Random& random) {
  std::vector<Line> events;
  bool failed = false;
  double time = 0;
  while (events.size() < 12) {
    time += random.below(24) / 8.0;
    if (random.below(3) == 0) {
      failed = !failed;
      events.push_back({time, 0, failed ? fails : returns});
    } else {
      events.push_back({time, 0, fmt::format("slowdown = {}", 0.5 * (1 << random.below(4)))});
    }
  }
  if (failed) events.push_back({time, 0, returns});
  return events;
}

TEST(EventScript, AgreesWithASimulationBySmallSteps) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    Random random(seed, Purpose::partition);
    const std::vector<Line> events = random_events(random);
    const EventScript speeds = script(events, 1);
    for (int job = 0; job < 20; ++job) {
      const double start = random.below(160) / 8.0;
      const double work = (1 + random.below(200)) / 32.0;
      ASSERT_EQ(speeds.end_time(0, start, work), stepped_end(events, start, work))
          << start << " + " << work << "\n"
          << toml(events);
    }
  }
}

/// The refusal_of_events of a script for two workers, without `--events FILE`.
std::string refusal_of_events(const std::string& text) {
  const TemporaryFile file;
  try {
    EventScript::read(file.write(text), 2);
  } catch (const std::invalid_argument& error) {
    const std::string message = error.what();
    const std::string place = "--events " + file.path();
    EXPECT_THAT(message, StartsWith(place));
    EXPECT_EQ(std::count(message.begin(), message.end(), '\n'), 0) << message;
    return message.substr(place.size());
  }
  return "accepted";
}

TEST(EventScript, CommentsAndInlineTablesAreFine) {
  EXPECT_EQ(refusal_of_events("# nothing happens\n"), "accepted");
  EXPECT_EQ(refusal_of_events("event = [{time = 1, worker = 1, slowdown = 2}]"), "accepted");
}

// Tables in tables, as deep as the file is long.
const std::string deep_key = [] {
  std::string key = "a";
  for (int i = 0; i < 200'000; ++i) key += ".a";
  return key + " = 1\n";
}();

TEST(EventScript, RefusesWhatIsNoScript) {
  EXPECT_EQ(refusal_of_events("[[event]]\ntime = \n"),
            ":2: expected TOML: Error while parsing key-value pair: expected value, saw '\\n'");
  EXPECT_THAT(refusal_of_events(deep_key), ::testing::HasSubstr("found a key of many parts"));
  EXPECT_EQ(refusal_of_events("\nseed = 3\n"), ":2: expected [[event]] tables alone, found \"seed\"");
  EXPECT_EQ(refusal_of_events("[event]\ntime = 1\n"), ":1: expected [[event]] tables alone, found \"event\"");
  try {
    EventScript::read("/nowhere/events.toml", 2);
    FAIL() << "accepted";
  } catch (const std::invalid_argument& error) {
    EXPECT_STREQ(
        error.what(),
        "--events /nowhere/events.toml: expected a file that can be read: No such file or directory");
  }
}

TEST(EventScript, RefusesKeysItDoesNotKnowOrMisses) {
  EXPECT_EQ(refusal_of_events("[[event]]\ntime = 1\nworker = 0\nslow = 2\n"),
            ":4: expected time, worker, slowdown or state, found \"slow\"");
  EXPECT_EQ(refusal_of_events("\n[[event]]\nworker = 0\nslowdown = 2\n"),
            ":2: expected time, a number of at least 0, found none");
  EXPECT_EQ(refusal_of_events("[[event]]\ntime = 1\nslowdown = 2\n"),
            ":1: expected worker, a whole number from 0 to 1, found none");
  EXPECT_EQ(refusal_of_events(toml({{1, 0, ""}})), ":1: expected either slowdown or state in an event");
  EXPECT_EQ(refusal_of_events(toml({{1, 0, "slowdown = 2\nstate = \"failed\""}})),
            ":1: expected either slowdown or state in an event");
}

TEST(EventScript, RefusesValuesOutsideTheirRange) {
  for (const char* time : {"-1", "inf", "nan", "true", "'noon'"}) {
    EXPECT_EQ(refusal_of_events(fmt::format("[[event]]\ntime = {}\nworker = 0\nslowdown = 2\n", time)),
              fmt::format(":2: expected time, a number of at least 0, found {}", time));
  }
  for (const char* worker : {"-1", "2", "0.5", "'all'"}) {
    EXPECT_EQ(refusal_of_events(fmt::format("[[event]]\ntime = 1\nworker = {}\nslowdown = 2\n", worker)),
              fmt::format(":3: expected worker, a whole number from 0 to 1, found {}", worker));
  }
  for (const char* slowdown : {"0", "-2", "inf", "'twice'"}) {
    EXPECT_EQ(refusal_of_events(fmt::format("[[event]]\ntime = 1\nworker = 0\nslowdown = {}\n", slowdown)),
              fmt::format(":4: expected slowdown, a number above 0, found {}", slowdown));
  }
  for (const char* state : {"'broken'", "1"}) {
    EXPECT_EQ(refusal_of_events(fmt::format("[[event]]\ntime = 1\nworker = 0\nstate = {}\n", state)),
              fmt::format(":4: expected state, \"failed\" or \"working\", found {}", state));
  }
}

TEST(EventScript, RefusesEventsOutOfOrder) {
  EXPECT_EQ(refusal_of_events(toml({{5, 0, fails}, {3, 1, fails}})),
            ":6: expected events in the order of their times, found 3 after 5");
}

TEST(EventScript, RefusesStatesThatChangeNothing) {
  EXPECT_EQ(refusal_of_events(toml({{1, 1, fails}, {5, 0, returns}})),
            ":8: expected state \"failed\", as worker 0 has not failed");
  EXPECT_EQ(refusal_of_events(toml({{1, 0, fails}, {2, 0, returns}, {3, 0, returns}})),
            ":12: expected state \"failed\", as worker 0 has not failed");
  EXPECT_EQ(refusal_of_events(toml({{1, 0, fails}, {2, 0, "slowdown = 2"}, {3, 0, fails}})),
            ":12: expected state \"working\", as worker 0 has failed already");
}

}  // namespace
}  // namespace tardigrad
