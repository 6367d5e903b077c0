#include <gmock/gmock.h>
#include <pty.h>

#include <string>

#include "tests/support/program.h"

namespace tardigrad {
namespace {

using ::testing::AllOf;
using testing::Finished;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::read_file;
using testing::records_of;

/// `tardigrad compare --log-dir`, called again.
class CompareAgain : public testing::QuadraticTest {
 protected:
  Finished compare(const std::string& more) const {
    return tardigrad(
        "compare --model quadratic:problem.json --device cpu --clock virtual --compute-time 1,3 --updates 60 "
        "--eval-every 5 --eval-gradient --methods sync,asgd --lr 0.05,0.1 --log-dir logs " +
        more);
  }

  std::string log(const std::string& run) const { return "logs/" + run + ".jsonl"; }

  /// Makes the log as it was when it had so many bytes.
  void cut(const std::string& run, std::size_t bytes) const {
    std::filesystem::resize_file(path(log(run)), bytes);
  }

  void replace_in(const std::string& run, const std::string& before, const std::string& after) const {
    std::string text = read_file(path(log(run)));
    const std::size_t at = text.find(before);
    ASSERT_NE(at, std::string::npos) << before;
    write(log(run), text.replace(at, before.size(), after));
  }

  void expect_refusal(const Finished& run, const std::string& message) const {
    EXPECT_EQ(run.exit_code, 2);
    EXPECT_THAT(run.err, HasSubstr(message));
    EXPECT_EQ(std::count(run.err.begin(), run.err.end(), '\n'), 1) << run.err;
    EXPECT_EQ(run.out, "");
  }
};

TEST_F(CompareAgain, DoesOnlyTheRunsThatHaveNoEnd) {
  const std::string target = "--target-gradient-norm-sq 0.01 --seeds 2";
  const Finished whole = compare(target);
  ASSERT_EQ(whole.exit_code, 0) << whole.err;
  const std::string kept = read_file(path(log("asgd-0.1-1")));
  std::filesystem::remove(path(log("sync-0.05-0")));
  cut("sync-0.05-1", 0);
  cut("sync-0.1-0", 20);    // in its run record
  cut("sync-0.1-1", 2500);  // in the middle
  replace_in("asgd-0.05-0", R"("stop_reason":"updates")", R"("stop_reason":"interrupted")");
  const Finished again = compare(target);
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(again.out, whole.out);
  EXPECT_THAT(again.err, AllOf(HasSubstr("--log-dir logs: 3 of 8 runs are there already, and are taken over"),
                               HasSubstr(" 4/8  "), HasSubstr(" 8/8  "), HasSubstr("/8  asgd lr 0.05 seed 0"),
                               Not(HasSubstr("asgd lr 0.1"))));
  EXPECT_EQ(read_file(path(log("asgd-0.1-1"))), kept);
  EXPECT_THAT(compare(target).err, HasSubstr("8 of 8 runs are there already"));
}

TEST_F(CompareAgain, ReadsTheSameTableFromLogsOfAnyDetail) {
  const Finished jobs = compare("--target-gradient-norm-sq 0.01");
  const Finished jobs_again = compare("--target-gradient-norm-sq 0.01 --log-detail updates");
  std::filesystem::remove_all(path("logs"));
  compare("--log-detail evaluations");
  const Finished evaluations_again = compare("--target-gradient-norm-sq 0.01 --device cpu:1");
  EXPECT_THAT(evaluations_again.err, HasSubstr("4 of 4 runs are there already"));
  EXPECT_EQ(jobs_again.out, jobs.out);
  EXPECT_EQ(evaluations_again.out, jobs.out);
}

TEST_F(CompareAgain, MayTryMoreSeedsAndStepSizes) {
  ASSERT_EQ(compare("").exit_code, 0);
  const Finished more = compare("--seeds 2 --lr 0.05,0.1,0.2");
  EXPECT_THAT(more.err, HasSubstr("4 of 12 runs are there already"));
  std::filesystem::remove_all(path("logs"));
  EXPECT_EQ(compare("--seeds 2 --lr 0.05,0.1,0.2").out, more.out);
}

TEST_F(CompareAgain, TakesOverRunsThatLeftTheFiniteNumbers) {
  const Finished first = compare("--lr 200 --updates 2000");
  EXPECT_THAT(first.out, HasSubstr("1 of 1"));
  const Finished again = compare("--lr 200 --updates 2000");
  EXPECT_THAT(again.err, HasSubstr("2 of 2 runs are there already"));
  EXPECT_EQ(again.out, first.out);
}

TEST_F(CompareAgain, DoesNotTrustALogThatHasLostEvaluations) {
  const std::string small = "--log-size 8K --log-files 2 --updates 400 --target-gradient-norm-sq 0.01";
  const Finished first = compare(small);
  ASSERT_EQ(first.exit_code, 0) << first.err;
  const Finished again = compare(small);
  EXPECT_THAT(again.err, Not(HasSubstr("already")));
  EXPECT_EQ(again.out, first.out);
}

TEST_F(CompareAgain, RefusesLogsOfOtherRuns) {
  ASSERT_EQ(compare("").exit_code, 0);
  const std::string before = read_file(path(log("sync-0.05-0")));
  expect_refusal(compare("--momentum 0.5"),
                 "logs/sync-0.05-0.jsonl: is of another run: momentum is 0.0 there, and 0.5 here; expected a "
                 "--log-dir with logs of the same runs, or without any");
  expect_refusal(compare("--updates 61"), "updates is 60 there, and 61 here");
  EXPECT_EQ(read_file(path(log("sync-0.05-0"))), before);
  replace_in("asgd-0.1-0", R"("devices":["cpu:)", R"("devices":["cuda:)");
  expect_refusal(compare(""),
                 "logs/asgd-0.1-0.jsonl: is of another run: it ran on cuda, and here it would on cpu");
  replace_in("asgd-0.1-0", R"("version":")", R"("version":"0.0.)");
  expect_refusal(compare(""), "it is of version 0.0.");
  write(log("sync-0.1-0"), "some notes\n");
  expect_refusal(compare(""), "logs/sync-0.1-0.jsonl: does not begin with a run record");
}

TEST_F(CompareAgain, RefusesLogsOfAProblemThatHasChangedSince) {
  ASSERT_EQ(compare("").exit_code, 0);
  std::filesystem::last_write_time(
      path("problem.json"),
      std::filesystem::last_write_time(path(log("asgd-0.1-0"))) + std::chrono::hours(1));
  expect_refusal(compare(""), "logs/sync-0.05-0.jsonl: is of another run: problem.json has changed since");
}

TEST_F(CompareAgain, GoesOnAfterAnInterrupt) {
  // The first run ends with its first round; the second would take minutes.
  const std::string slow =
      "compare --model quadratic:problem.json --lr 0.1 --device cpu:1 --clock virtual --compute-time 1,1e9 "
      "--time-limit 1e9 --log-dir logs --methods ";
  const Finished broken_off = tardigrad_interrupted(slow + "sync,asgd", "logs/asgd-0.1-0.jsonl");
  EXPECT_THAT(broken_off.out,
              HasSubstr("\ninterrupted: 1 of 2 runs are missing; the same command goes on with them\n"));
  const Finished rest = tardigrad(slow + "sync");
  EXPECT_EQ(rest.exit_code, 0) << rest.err;
  EXPECT_THAT(rest.err, HasSubstr("1 of 1 runs are there already"));
}

TEST_F(CompareAgain, ATerminalShowsHowFarItIs) {
  int terminal = -1;
  const pid_t child = forkpty(&terminal, nullptr, nullptr, nullptr);
  if (child == 0) {
    const char* other = std::getenv("TARDIGRAD_BINARY");
    const std::string program = other != nullptr ? other : TARDIGRAD_BINARY;
    const std::string problem = "quadratic:" + path("problem.json").string();
    execl(program.c_str(), program.c_str(), "compare", "--model", problem.c_str(), "--methods", "asgd",
          "--lr", "0.1", "--device", "cpu:1", "--clock", "virtual", "--compute-time", "1,1e9", "--time-limit",
          "1e9", nullptr);
    _exit(127);
  }
  std::string seen;
  char part[1000];
  ssize_t bytes = 0;
  bool interrupted = false;
  while ((bytes = read(terminal, part, sizeof part)) > 0) {  // an error once the program is gone
    seen.append(part, static_cast<std::size_t>(bytes));
    if (interrupted || seen.find("/s  about") == std::string::npos) continue;
    kill(child, SIGINT);
    interrupted = true;
  }
  int status = 0;
  waitpid(child, &status, 0);
  close(terminal);
  EXPECT_TRUE(interrupted) << seen;
  EXPECT_THAT(seen, HasSubstr("\r\033[K0 of 1 runs done, 1 more at 0 %  "));
  EXPECT_THAT(seen, HasSubstr("1 of 1 runs are missing; with --log-dir DIR the same command would go on"));
}

}  // namespace
}  // namespace tardigrad
