// What a run says on stderr: with times where that is no terminal, and little when it is to be quiet.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <regex>
#include <sstream>
#include <string>

#include "tests/support/program.h"

namespace tardigrad {
namespace {

using ::testing::AllOf;
using testing::Finished;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

const std::regex time_of_a_line(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d .+)");

class LogLines : public testing::QuadraticTest {
 protected:
  /// A run in which a worker is lost and back, and whose step size is warned of.
  LogLines() {
    write("events.toml",
          "[[event]]\ntime = 5\nworker = 1\nstate = \"failed\"\n"
          "[[event]]\ntime = 9\nworker = 1\nstate = \"working\"\n");
  }

  static void expect_times(const Finished& run) {
    std::istringstream lines(run.err);
    for (std::string line; std::getline(lines, line);) {
      if (line.empty()) continue;
      EXPECT_TRUE(std::regex_match(line, time_of_a_line)) << line;
    }
  }

  const std::string problem =
      "--model quadratic:problem.json --clock virtual --compute-time 1,1 --device cpu:1 ";
  const std::string eventful =
      "train " + problem + "--method asgd --lr 0.9 --smoothness 2 --updates 30 --events events.toml ";
};

TEST_F(LogLines, OfARunHaveATime) {
  const Finished run = tardigrad(eventful);
  EXPECT_EQ(run.exit_code, 0) << run.err;
  expect_times(run);
  EXPECT_THAT(run.err,
              AllOf(HasSubstr(" evaluation at update 0 "), HasSubstr(" tardigrad: warning: at update "),
                    HasSubstr(" tardigrad: worker 1 is lost at update "),
                    HasSubstr(" tardigrad: worker 1 is back at update ")));
}

TEST_F(LogLines, WhatEndsARunHasATimeButBadUsageHasNone) {
  const Finished run = tardigrad("train " + problem + "--method asgd --lr 100 --updates 2000");
  EXPECT_EQ(run.exit_code, 4);
  expect_times(run);
  const Finished refused = tardigrad("train " + problem + "--method asgd --lr 0.1");
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err, StartsWith("tardigrad: "));
}

TEST_F(LogLines, ATerminalNeedsNoTimes) {
  const int terminal = posix_openpt(O_RDWR | O_NOCTTY);
  ASSERT_GE(terminal, 0);
  ASSERT_EQ(grantpt(terminal), 0);
  ASSERT_EQ(unlockpt(terminal), 0);
  tardigrad(eventful + "2>" + ptsname(terminal) + " >out | cat");
  std::string said(1 << 16, '\0');
  said.resize(static_cast<std::size_t>(std::max<ssize_t>(0, read(terminal, said.data(), said.size()))));
  close(terminal);
  EXPECT_THAT(said, AllOf(HasSubstr("evaluation at update 0 "), Not(::testing::ContainsRegex("T[0-9]{2}:"))));
  EXPECT_THAT(testing::read_file(path("out")), HasSubstr("30 updates from"));
}

TEST_F(LogLines, AQuietRunSaysOnlyWhatIsWrong) {
  const Finished run = tardigrad(eventful + "--quiet");
  EXPECT_EQ(run.exit_code, 0) << run.err;
  expect_times(run);
  EXPECT_THAT(run.err, AllOf(HasSubstr("tardigrad: warning: at update "), HasSubstr("worker 1 is lost"),
                             HasSubstr("worker 1 is back"), Not(HasSubstr("evaluation"))));
  EXPECT_THAT(run.out, HasSubstr("30 updates from"));
  const Finished calm = tardigrad("train " + problem + "--method asgd --lr 0.01 --updates 30 -q");
  EXPECT_THAT(calm.err, IsEmpty());
  EXPECT_THAT(calm.out, HasSubstr("30 updates from"));
}

TEST_F(LogLines, AQuietComparisonNamesOnlyRunsThatFail) {
  const std::string arguments = "compare --methods asgd --lr 0.1,100 --updates 2000 " + problem;
  const Finished quiet = tardigrad(arguments + "--quiet");
  EXPECT_EQ(quiet.exit_code, 0) << quiet.err;
  expect_times(quiet);
  EXPECT_THAT(quiet.err, AllOf(HasSubstr("asgd lr 100 seed 0: failed"), Not(HasSubstr("lr 0.1"))));
  const Finished loud = tardigrad(arguments);
  expect_times(loud);
  EXPECT_THAT(loud.err, HasSubstr("lr 0.1"));
  EXPECT_EQ(loud.out, quiet.out);
}

}  // namespace
}  // namespace tardigrad
