#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>

#include "tests/support/program.h"

namespace tardigrad {
namespace {

using ::testing::AllOf;
using testing::Finished;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::read_file;
using testing::records_of;
using testing::row_of_table;

/// `tardigrad advise` on runs whose outcome is known: quadratics without noise, in virtual time.
class Advise : public testing::QuadraticTest {
 protected:
  /// A run of asgd, which needs 3 units where worker 1 takes 3.
  Finished measure(const std::string& more) const {
    return tardigrad(
        "train --model quadratic:problem.json --method asgd --lr 0.02 --clock virtual --compute-time 1,3 "
        "--device cpu:1 --eval-every 4s " +
        more);
  }

  Finished advise(const std::string& more) const {
    return tardigrad("advise --device cpu:1 --seeds 2 --methods sync,asgd,dude --quiet " + more);
  }

  void expect_refusal(const std::string& options, const std::string& message) const {
    const Finished run = advise(options);
    EXPECT_EQ(run.exit_code, 2);
    EXPECT_EQ(run.err, "tardigrad: " + message + "\n");
    EXPECT_EQ(run.out, "");
  }
};

TEST_F(Advise, PredictsTheRunItself) {
  ASSERT_EQ(measure("--time-limit 200 --log run.jsonl").exit_code, 0);
  double reached = 0;
  for (const auto& evaluation : records_of(path("run.jsonl"), "eval")) {
    if (reached == 0 && evaluation.at("loss") <= -0.06) reached = evaluation.at("time");
  }
  ASSERT_GT(reached, 0);
  const Finished run = advise("--from run.jsonl --target-loss -0.06");
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(std::stod(row_of_table(run, "asgd, as it ran").at(2)), reached);
  EXPECT_THAT(
      run.out,
      AllOf(HasSubstr("run.jsonl: asgd with --lr 0.02, 2 workers, 200.0 units, 266 gradients\n"),
            HasSubstr("a gradient takes 1 units to 3 units, by the worker; the times of one vary by 0 %"),
            HasSubstr("noise of a minibatch 0, differences between workers "),
            HasSubstr(fmt::format("measured: {:g} units\n", reached))));
}

TEST_F(Advise, TakesTheMethodAndTheStepSizeThatAreFirst) {
  ASSERT_EQ(measure("--time-limit 200 --log run.jsonl").exit_code, 0);
  const Finished run = advise("--from run.jsonl --target-loss -0.06");
  std::string best;
  for (const std::string method : {"sync", "asgd", "dude"}) {
    const double time = std::stod(row_of_table(run, method).at(2));
    if (best.empty() || time < std::stod(row_of_table(run, best).at(2))) best = method;
    // The same, by the command that compares methods with given step sizes.
    const Finished compared = tardigrad(
        "compare --model quadratic:problem.json --clock virtual --compute-time 1,3 --device cpu:1 "
        "--eval-every "
        "4s --time-limit 400 --target-loss -0.06 --quiet --methods " +
        method + " --lr " + row_of_table(run, method).at(1));
    EXPECT_EQ(std::stod(row_of_table(compared, method).at(2)), time) << method;
  }
  EXPECT_THAT(run.out,
              AllOf(HasSubstr("\ntake " + best + " with --lr " + row_of_table(run, best).at(1) + ": "),
                    HasSubstr("\ntardigrad train --model quadratic:problem.json --method " + best)));
}

TEST_F(Advise, MeasuresToTheEndOfTheRunWhereNothingElseIsAsked) {
  ASSERT_EQ(measure("--time-limit 100 --log run.jsonl").exit_code, 0);
  std::vector<double> losses;
  for (const auto& evaluation : records_of(path("run.jsonl"), "eval")) {
    losses.push_back(evaluation.at("loss"));
  }
  std::vector<double> last(losses.end() - 3, losses.end());
  std::ranges::sort(last);
  const Finished run = advise("--from run.jsonl");
  const std::size_t at = run.out.find("time to loss ");
  ASSERT_NE(at, std::string::npos) << run.out << run.err;
  const double target = std::stod(run.out.substr(at + 13));
  EXPECT_GE(target, last.at(1));
  EXPECT_NEAR(target, last.at(1), 1e-3 * std::abs(last.at(1)));
}

TEST_F(Advise, MeasuresToTheRunsOwnTarget) {
  ASSERT_EQ(measure("--time-limit 400 --target-loss -0.05 --log run.jsonl").exit_code, 0);
  EXPECT_THAT(advise("--from run.jsonl").out, HasSubstr("time to loss -0.05 "));
}

TEST_F(Advise, PrintsACommandThatReachesTheTarget) {
  ASSERT_EQ(
      tardigrad(
          "train --model quadratic:problem.json --method dude --lr 0.02 --clock virtual --compute-time 1,3 "
          "--device cpu:1 --eval-every 4s --updates 60 --gather 2 --table-dtype bf16 --resum-every 10 "
          "--lost-rows drop --log run.jsonl")
          .exit_code,
      0);
  for (const std::string method : {"asgd", "dude", "sync"}) {
    const Finished run =
        tardigrad("advise --device cpu:1 --seeds 1 --quiet --from run.jsonl --methods " + method);
    ASSERT_EQ(run.exit_code, 0) << run.err;
    const std::string command = run.out.substr(run.out.find("\ntardigrad train ") + 11);
    const Finished repeated =
        shell("$tardigrad " + command.substr(0, command.find('\n')) + " --log again.jsonl");
    ASSERT_EQ(repeated.exit_code, 0) << command << repeated.err;
    const auto summary = records_of(path("again.jsonl"), "summary").at(0);
    EXPECT_EQ(summary.at("stop_reason"), "target-loss") << command;
    EXPECT_EQ(summary.at("time").get<double>(), std::stod(row_of_table(run, method).at(2))) << command;
  }
}

TEST_F(Advise, ReadsRecordingsOfWallTimeToo) {
  ASSERT_EQ(
      tardigrad("train --model quadratic:problem.json --method asgd --lr 0.02 --updates 200 --record run.rec "
                "--compute-time 1,3 --time-unit 0.001 --device cpu:1")
          .exit_code,
      0);
  const Finished run = advise("--from run.rec --target-loss -0.06");
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out,
              AllOf(HasSubstr("take "), HasSubstr(" s, 200 gradients"), Not(HasSubstr("measured: "))));
  expect_refusal("--from run.rec",
                 "--from run.rec: holds no evaluations to measure time to; expected --target-accuracy or "
                 "--target-loss");
}

TEST_F(Advise, GoesOnWithWhatTheFolderOfLogsHolds) {
  ASSERT_EQ(measure("--time-limit 200 --log run.jsonl").exit_code, 0);
  const std::string options = "--from run.jsonl --target-loss -0.06 --log-dir logs";
  const Finished first = advise(options);
  ASSERT_EQ(first.exit_code, 0) << first.err;
  const std::string log = "logs/sync-" + row_of_table(first, "sync").at(1) + "-0.jsonl";
  const std::string before = read_file(path(log));
  ASSERT_FALSE(before.empty());
  EXPECT_EQ(advise(options).out, first.out);
  EXPECT_EQ(read_file(path(log)), before);
}

TEST_F(Advise, KeepsTheOptionsOfTheRunsOwnMethod) {
  ASSERT_EQ(
      tardigrad("train --model quadratic:problem.json --method fedbuff --gather 2 --lr 0.02 --clock virtual "
                "--compute-time 1,3 --device cpu:1 --eval-every 4s --time-limit 200 --log run.jsonl")
          .exit_code,
      0);
  const Finished run = tardigrad(
      "advise --device cpu:1 --seeds 1 --quiet --from run.jsonl --methods fedbuff,rennala --log-dir logs");
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const auto option_of = [&](const std::string& log) {
    return records_of(path("logs/" + log), "run").at(0).at("gather");
  };
  EXPECT_EQ(option_of("fedbuff-0.02-0.jsonl"), 2);
  EXPECT_TRUE(option_of("rennala-0.02-0.jsonl").is_null());
}

TEST_F(Advise, SeedsDrawOtherMinibatchesOfTheSamePartition) {
  write_images(200, 50);
  ASSERT_EQ(
      tardigrad("train --model mlp:8 --dataset mnist --data-dir . --method asgd --lr 0.05 --workers 3 "
                "--partition dirichlet:0.3 --batch-size 4 --clock virtual --compute-time 1,2,4 --seed 5 "
                "--time-limit 60 --eval-every 3s --log run.jsonl --device cpu:1")
          .exit_code,
      0);
  ASSERT_EQ(advise("--from run.jsonl --log-dir logs").exit_code, 0);
  const auto first = records_of(path("logs/asgd-0.05-5.jsonl"), "run").at(0);
  const auto second = records_of(path("logs/asgd-0.05-6.jsonl"), "run").at(0);
  EXPECT_EQ(first.at("classes"), records_of(path("run.jsonl"), "run").at(0).at("classes"));
  EXPECT_EQ(first.at("classes"), second.at("classes"));
  EXPECT_NE(records_of(path("logs/asgd-0.05-5.jsonl"), "eval").at(1).at("loss"),
            records_of(path("logs/asgd-0.05-6.jsonl"), "eval").at(1).at("loss"));
}

TEST_F(Advise, RefusesARunThatSaysTooLittle) {
  ASSERT_EQ(measure("--time-limit 12 --log short.jsonl").exit_code, 0);
  expect_refusal(
      "--from short.jsonl",
      "short.jsonl: holds 3 jobs of worker 1 in 12 units; expected 8 or more of each: a run of 32 units");
  ASSERT_EQ(measure("--time-limit 2 --log none.jsonl").exit_code, 0);
  expect_refusal(
      "--from none.jsonl",
      "none.jsonl: holds 0 jobs of worker 1 in 2 units; expected 8 or more of each: a run of more than "
      "16 units");
  ASSERT_EQ(measure("--time-limit 100 --log few.jsonl --log-detail updates").exit_code, 0);
  expect_refusal("--from few.jsonl",
                 "few.jsonl: holds no jobs; expected a log with --log-detail jobs, or a recording");
}

TEST_F(Advise, RefusesALogThatIsNotWhole) {
  ASSERT_EQ(measure("--time-limit 60 --checkpoint-dir checkpoints --checkpoint-every 20u --log first.jsonl")
                .exit_code,
            0);
  ASSERT_EQ(
      measure("--time-limit 200 --checkpoint-dir checkpoints --resume latest --log rest.jsonl").exit_code, 0);
  expect_refusal(
      "--from rest.jsonl --target-loss -0.06",
      "rest.jsonl: does not begin where its run does; expected the log of a run from its first update on");
}

TEST_F(Advise, SaysThatAFileWhichIsMissingIsTheRuns) {
  ASSERT_EQ(measure("--time-limit 200 --log run.jsonl").exit_code, 0);
  std::filesystem::remove(path("problem.json"));
  expect_refusal(
      "--from run.jsonl --target-loss -0.06",
      "--from run.jsonl: its problem is not to be had: problem.json: cannot be read; expected a JSON "
      "file with a quadratic problem (files are looked for as the run named them, from the folder "
      "where advise runs)");
}

TEST_F(Advise, RefusesStepSizesThatFollowTheEnd) {
  ASSERT_EQ(measure("--time-limit 100 --lr-schedule cosine --log run.jsonl").exit_code, 0);
  expect_refusal(
      "--from run.jsonl",
      "--from run.jsonl: its step sizes follow the end of the run (--lr-schedule cosine), and to a target "
      "there is no such end; expected another schedule");
}

TEST_F(Advise, RefusesARunThatThrewTheJobsOfAWorkerAway) {
  ASSERT_EQ(
      tardigrad("train --model quadratic:problem.json --method rennala --gather 2 --lr 0.02 --clock virtual "
                "--compute-time 1,3 --device cpu:1 --time-limit 1000 --eval-every 10s --log run.jsonl")
          .exit_code,
      0);
  const Finished run = advise("--from run.jsonl");
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_THAT(
      run.err,
      AllOf(HasSubstr("holds 0 jobs of worker 1 in 1000 units; "),
            HasSubstr(" more were thrown away; expected a run by a method that keeps them, such as asgd")));
}

TEST_F(Advise, ARefusedCallLeavesTheLogsOfAnother) {
  ASSERT_EQ(measure("--time-limit 200 --log run.jsonl").exit_code, 0);
  const std::string options = " --target-loss -0.06 --log-dir logs";
  const Finished first = advise("--from run.jsonl" + options);
  ASSERT_EQ(first.exit_code, 0) << first.err;
  ASSERT_EQ(measure("--time-limit 100 --throttle 1=2x --log other.jsonl").exit_code, 0);
  EXPECT_EQ(advise("--from other.jsonl" + options).exit_code, 2);
  EXPECT_EQ(advise("--from run.jsonl" + options).out, first.out);
}

TEST_F(Advise, RefusesWhatItCannotUse) {
  expect_refusal("--from absent.jsonl", "absent.jsonl: cannot be read; expected a file written by --log");
  expect_refusal("--from problem.json",
                 "problem.json: does not begin with a run record; expected a file written by --log");
  ASSERT_EQ(measure("--time-limit 100 --log run.jsonl").exit_code, 0);
  expect_refusal("--from run.jsonl --target-loss 100",
                 "--from run.jsonl: its first model has loss 100 already; expected a --target-accuracy or "
                 "--target-loss that takes training");
  EXPECT_THAT(tardigrad("advise --from run.jsonl --methods dud").err, HasSubstr("did you mean dude"));
  std::string text = read_file(path("run.jsonl"));
  write("other.jsonl", text.replace(text.find("\"workers\":2"), 11, "\"workers\":1"));
  expect_refusal("--from other.jsonl", "other.jsonl: has a job of worker 1, and the run has 1");
  ASSERT_EQ(
      tardigrad("train --model quadratic:problem.json --method asgd --lr 0.02 --updates 100 --record run.rec "
                "--clock virtual --compute-time 1,3 --device cpu:1")
          .exit_code,
      0);
  text = read_file(path("run.rec"));
  write("broken.rec", text.substr(0, text.find("arrival", 400)) + "\n{}\n");
  EXPECT_THAT(advise("--from broken.rec --target-loss 0").err, HasSubstr("tardigrad: --from broken.rec:"));
  EXPECT_THAT(advise("--from - --target-loss 0 <run.rec").err, HasSubstr("stdin: "));
}

TEST_F(Advise, SaysWhereNothingArrivesInTime) {
  ASSERT_EQ(measure("--time-limit 100 --log run.jsonl").exit_code, 0);
  const Finished run = advise("--from run.jsonl --target-loss -100 --time-limit 20");
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out, AllOf(HasSubstr("none of them reaches loss -100 in time"), Not(HasSubstr("take "))));
}

}  // namespace
}  // namespace tardigrad
