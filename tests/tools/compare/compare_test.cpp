#include <gmock/gmock.h>

#include <cstdio>

#include "tests/support/program.h"
#include "tools/report/quartiles.h"

namespace tardigrad {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::Finished;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::records_of;
using testing::row_of_table;

class Compare : public testing::ProgramTest {
 protected:
  Compare() {
    write("problem.json", R"({"A":[[[1,0],[0,2]],[[2,0],[0,1]]],"b":[[1,0],[0,1]],"x0":[0.5,-0.5]})");
  }

  Finished quadratic(const std::string& more) const {
    return tardigrad("compare --model quadratic:problem.json --clock virtual --compute-time 1,3 " + more);
  }

  static std::string step_size(const Finished& run, const std::string& method) {
    return row_of_table(run, method).at(1);
  }

  double final_loss(const std::string& log) const {
    return records_of(path(log), "summary").at(0).at("final_loss");
  }
};

TEST_F(Compare, ShowsTheConfigurationAndARowForEachMethod) {
  const Finished run = quadratic("--methods sync,dude --lr 0.1,sync=0.2 --updates 40");
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out, AllOf(HasSubstr("quadratic:problem.json, 2 workers, compute time 1,3, virtual clock"),
                             HasSubstr("40 updates, seed 0\n")));
  EXPECT_EQ(step_size(run, "sync"), "0.2");
  EXPECT_EQ(step_size(run, "dude"), "0.1");
  EXPECT_THAT(run.out, AllOf(HasSubstr("loss"), HasSubstr("idle, %"), HasSubstr("discarded, %")));
  EXPECT_THAT(run.out,
              AllOf(Not(HasSubstr("accuracy")), Not(HasSubstr("time to")), Not(HasSubstr("failed"))));
  EXPECT_THAT(run.err,
              AllOf(HasSubstr("/2  sync lr 0.2 seed 0: loss "), HasSubstr("/2  dude lr 0.1 seed 0")));
}

TEST_F(Compare, TakesTheStepSizeThatReachesTheTargetFirst) {
  const Finished run = quadratic(
      "--methods dude,sync --lr dude=0.3,0.001,0.01,0.1,sync=0.1 --updates 3000 --eval-every 5 --device cpu "
      "--target-loss -0.16");
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(step_size(run, "sync"), "0.1");
  const double chosen = std::stod(row_of_table(run, "dude").at(2));
  // What each would have needed by itself.
  for (const std::string lr : {"0.001", "0.01", "0.1", "0.3"}) {
    const Finished alone =
        quadratic("--methods dude --updates 3000 --eval-every 5 --device cpu --target-loss -0.16 --lr " + lr);
    EXPECT_GE(std::stod(row_of_table(alone, "dude").at(2)), chosen) << lr;
    if (lr == step_size(run, "dude")) {
      EXPECT_EQ(row_of_table(alone, "dude"), row_of_table(run, "dude"));
    }
  }
}

TEST_F(Compare, TakesTheSmallerOfStepSizesThatAreAsGood) {
  const Finished run =
      quadratic("--methods dude --lr 0.11,0.1,0.001 --time-limit 200 --eval-every 100s --target-loss -0.16");
  EXPECT_THAT(row_of_table(run, "dude"), ::testing::Contains("100.0"));
  EXPECT_EQ(step_size(run, "dude"), "0.1");
}

TEST_F(Compare, TakesTheStepSizeThatEndsBestWhereNoneReachesTheTarget) {
  const Finished run =
      quadratic("--methods sync --lr 0.001,0.01,0.0001 --updates 40 --eval-every 10 --target-loss -100");
  EXPECT_THAT(row_of_table(run, "sync"), ::testing::Contains("-"));
  EXPECT_EQ(step_size(run, "sync"), "0.01");
  EXPECT_THAT(run.out, HasSubstr("sync: lr 0.01 is the largest tried; a larger one may do better"));
  EXPECT_EQ(step_size(quadratic("--methods sync --lr 0.001,0.01,0.0001 --updates 40"), "sync"), "0.01");
}

TEST_F(Compare, MeasuresToAGradientNorm) {
  const Finished run = quadratic(
      "--methods sync,dude --lr 0.0001,0.1 --updates 400 --eval-every 5 --eval-gradient --log-dir logs "
      "--target-gradient-norm-sq 0.01");
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out, AllOf(HasSubstr("time to ||grad f||^2 0.01"), HasSubstr("loss  ||grad f||^2")));
  EXPECT_EQ(step_size(run, "sync"), "0.1");
  EXPECT_EQ(records_of(path("logs/sync-0.1-0.jsonl"), "summary").at(0).at("stop_reason"), "updates");
  for (const auto& evaluation : records_of(path("logs/sync-0.1-0.jsonl"), "eval")) {
    if (evaluation.at("gradient_norm_sq") > 0.01) continue;
    EXPECT_EQ(row_of_table(run, "sync").at(3), std::to_string(evaluation.at("update").get<int>()));
    break;
  }
  // Where none gets there, the one that ends nearest.
  const Finished short_run = quadratic(
      "--methods sync --lr 0.0001,0.1,0.001 --updates 10 --eval-every 5 --eval-gradient "
      "--target-gradient-norm-sq 1e-9");
  EXPECT_EQ(step_size(short_run, "sync"), "0.1");
}

TEST_F(Compare, ATargetDoesNotEndARun) {
  const Finished run =
      quadratic("--methods dude --lr 0.1 --updates 200 --eval-every 10 --target-loss -0.1 --log-dir logs");
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const auto summary = records_of(path("logs/dude-0.1-0.jsonl"), "summary").at(0);
  EXPECT_EQ(summary.at("stop_reason"), "updates");
  for (const auto& evaluation : records_of(path("logs/dude-0.1-0.jsonl"), "eval")) {
    if (evaluation.at("loss") > -0.1) continue;
    EXPECT_EQ(row_of_table(run, "dude").at(3), std::to_string(evaluation.at("update").get<int>()));
    EXPECT_EQ(row_of_table(run, "dude").at(4), std::to_string(evaluation.at("gradients").get<int>()));
    EXPECT_LT(evaluation.at("update"), 200);
    break;
  }
}

TEST_F(Compare, ShowsMediansWithQuartilesOverTheSeeds) {
  const Finished run = quadratic(
      "--methods asgd --lr 0.05 --seed 3 --seeds 3 --compute-time exponential:1+exponential --updates 30 "
      "--log-dir logs");
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const Quartiles losses =
      quartiles({final_loss("logs/asgd-0.05-3.jsonl"), final_loss("logs/asgd-0.05-4.jsonl"),
                 final_loss("logs/asgd-0.05-5.jsonl")});
  char text[100];
  std::snprintf(text, sizeof text, "%#.3g [%#.3g, %#.3g]", losses.median, losses.lower, losses.upper);
  EXPECT_THAT(run.out,
              AllOf(HasSubstr("seeds 3 to 5\nmedian [quartiles] over the seeds\n"), HasSubstr(text)));
}

// However many runs go on at once, each is what `train` makes of its seed.
TEST_F(Compare, RunsSideBySideAreThoseAlone) {
  write_images(200, 60);
  const std::string common =
      " --model mlp:16 --dataset mnist --data-dir . --workers 6 --partition dirichlet:0.5 --batch-size 4 "
      "--clock virtual "
      "--compute-time linear:1:1+halfnormal --updates 60 --eval-every 20 ";
  const Finished run =
      tardigrad("compare --methods dude,asgd --lr 0.02 --seeds 3 --device cpu:4 --log-dir logs" + common);
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out, AllOf(HasSubstr("mlp:16 on mnist, partition dirichlet:0.5, batch size 4, 6 workers"),
                             HasSubstr("accuracy, %")));
  for (const std::string method : {"dude", "asgd"}) {
    for (const std::string seed : {"0", "1", "2"}) {
      ASSERT_EQ(tardigrad("train --lr 0.02 --method " + method + " --seed " + seed +
                          " --device cpu:1 --log alone.jsonl" + common)
                    .exit_code,
                0);
      const std::string log = "logs/" + method + "-0.02-" + seed + ".jsonl";
      EXPECT_EQ(records_of(path(log), "update"), records_of(path("alone.jsonl"), "update"));
      EXPECT_EQ(final_loss(log), final_loss("alone.jsonl"));
    }
  }
}

TEST_F(Compare, CountsRunsThatFail) {
  const Finished run = quadratic("--methods asgd,dude --lr 0.1,asgd=100,200 --seeds 2 --updates 2000");
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.err, HasSubstr("asgd lr 100 seed 0: failed: the loss of job"));
  EXPECT_THAT(row_of_table(run, "asgd"), ElementsAre("asgd", "100", "-", "-", "-", "2", "of", "2"));
  EXPECT_THAT(run.out, HasSubstr("asgd: at lr 200, 2 of 2 runs failed"));
  const auto dude = row_of_table(run, "dude");
  EXPECT_EQ(std::vector(dude.end() - 3, dude.end()), (std::vector<std::string>{"0", "of", "2"}));
}

TEST_F(Compare, ARunThatLosesItsWorkersHasFailed) {
  std::string events;
  for (const char* worker : {"0", "1"}) {
    events += std::string("[[event]]\ntime = 2\nworker = ") + worker + "\nstate = \"failed\"\n";
  }
  write("events.toml", events);
  const Finished run = quadratic("--methods sync,asgd --lr 0.1 --updates 50 --events events.toml");
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.err, HasSubstr("sync lr 0.1 seed 0: failed: no gradient will arrive"));
  EXPECT_THAT(row_of_table(run, "sync"), ElementsAre("sync", "0.1", "-", "-", "-", "1", "of", "1"));
}

TEST_F(Compare, HandsOptionsToTheMethodsThatHaveThem) {
  const Finished run = quadratic("--methods dude,asgd --lr 0.1 --gather 2 --updates 10 --log-dir logs");
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(records_of(path("logs/dude-0.1-0.jsonl"), "run").at(0).at("gather"), 2);
  EXPECT_TRUE(records_of(path("logs/asgd-0.1-0.jsonl"), "run").at(0).at("gather").is_null());
}

TEST_F(Compare, LogsEachRunIntoAFolder) {
  const Finished run =
      quadratic("--methods dude,asgd --lr 0.1,dude=0.05,0.2 --seeds 2 --updates 10 --log-dir new/logs");
  ASSERT_EQ(run.exit_code, 0) << run.err;
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(path("new/logs"))) {
    names.push_back(entry.path().filename());
  }
  EXPECT_THAT(names,
              ::testing::UnorderedElementsAre("asgd-0.1-0.jsonl", "asgd-0.1-1.jsonl", "dude-0.05-0.jsonl",
                                              "dude-0.05-1.jsonl", "dude-0.2-0.jsonl", "dude-0.2-1.jsonl"));
  EXPECT_THAT(tardigrad("table new/logs/asgd-0.1-0.jsonl new/logs/dude-0.2-1.jsonl").out,
              HasSubstr("dude 0.2"));
}

TEST_F(Compare, RunsInWallTimeToo) {
  const Finished run = tardigrad(
      "compare --model quadratic:problem.json --methods dude,sync --lr 0.1 --seeds 2 --updates 20 --device "
      "cpu:2");
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.err, HasSubstr("4/4  sync lr 0.1 seed 1"));
}

TEST_F(Compare, ReadsOptionsFromToml) {
  write("compare.toml",
        "model = \"quadratic:problem.json\"\nmethods = [\"dude\", \"sync\"]\nlr = [0.1, \"sync=0.3\"]\n"
        "updates = 3\n");
  const Finished run = tardigrad("compare --config compare.toml");
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(step_size(run, "sync"), "0.3");
}

TEST_F(Compare, AnInterruptShowsWhatIsComplete) {
  // The first run ends with its first round; the second would take minutes.
  const Finished run = tardigrad_interrupted(
      "compare --model quadratic:problem.json --methods sync,asgd,dude --lr 0.1 --device cpu:1 --clock "
      "virtual "
      "--compute-time 1,1e9 --time-limit 1e9 --log-dir logs",
      "logs/asgd-0.1-0.jsonl");
  EXPECT_EQ(run.exit_code, 128 + SIGINT) << run.err;
  EXPECT_EQ(step_size(run, "sync"), "0.1");
  EXPECT_THAT(run.out,
              AllOf(HasSubstr("\ninterrupted: 2 of 3 runs are missing; "), Not(HasSubstr("\ndude"))));
}

TEST_F(Compare, AnErrorThatIsNoFailureOfTheRunEndsTheCommand) {
  std::filesystem::create_directories(path("logs/dude-0.1-1.jsonl"));
  const Finished run = quadratic("--methods dude --lr 0.1 --seeds 4 --updates 5 --log-dir logs");
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_THAT(run.err, HasSubstr("tardigrad: --log logs/dude-0.1-1.jsonl: cannot be written"));
  EXPECT_EQ(run.out, "");
}

struct RefusedComparison {
  std::string arguments;  // after `compare`, in a folder with problem.json
  std::string message;
};

void PrintTo(const RefusedComparison& refusal, std::ostream* out) { *out << "compare " << refusal.arguments; }

class CompareRefusal : public Compare, public ::testing::WithParamInterface<RefusedComparison> {};

TEST_P(CompareRefusal, IsOneLineAndLeavesNothing) {
  const auto before = files();
  const Finished run =
      tardigrad("compare --model quadratic:problem.json --device cpu --log-dir logs " + GetParam().arguments);
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_THAT(run.err, HasSubstr(GetParam().message));
  EXPECT_EQ(std::count(run.err.begin(), run.err.end(), '\n'), 1) << run.err;
  EXPECT_EQ(run.out, "");
  EXPECT_EQ(files(), before);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, CompareRefusal,
    ::testing::Values(
        RefusedComparison{"--lr 0.1 --updates 3", "--methods is required"},
        RefusedComparison{"--methods dude --updates 3", "--lr is required"},
        RefusedComparison{"--methods dude,ringleder --lr 0.1 --updates 3",
                          "--methods ringleder: unknown; did you mean ringleader?"},
        RefusedComparison{"--methods dude,dude --lr 0.1 --updates 3", "dude is named twice"},
        RefusedComparison{"--methods dude, --lr 0.1 --updates 3", "--methods : unknown"},
        RefusedComparison{"--methods dude,sync --lr dude=0.1 --updates 3",
                          "no step size for sync; expected sync=..."},
        RefusedComparison{"--methods dude,sync --lr dude=0.1,asgd=1 --updates 3",
                          "asgd is none of --methods dude,sync"},
        RefusedComparison{"--methods dude --lr 0.1,0 --updates 3",
                          "--lr 0.1,0: '0' is not a positive number"},
        RefusedComparison{"--methods dude --lr dude= --updates 3", "'' is not a positive number"},
        RefusedComparison{"--methods dude --lr 0.1 --updates 3 --seeds 0", "--seeds"},
        RefusedComparison{"--methods dude --lr 0.1 --updates 3 --seeds some", "--seeds"},
        RefusedComparison{"--methods dude --lr 0.1",
                          "no end given: expected --updates, --epochs or --time-limit"},
        RefusedComparison{"--methods dude --lr 0.1 --target-loss 0 --eval-every 5", "no end given"},
        RefusedComparison{"--methods dude --lr 0.1 --updates 3 --target-loss 0",
                          "--target-loss needs --eval-every"},
        RefusedComparison{"--methods dude --lr 0.1 --updates 3 --target-accuracy 1 --eval-every 5",
                          "--target-accuracy has no use"},
        RefusedComparison{
            "--methods dude --lr 0.1 --updates 3 --target-accuracy 1 --target-loss 0 --eval-every 5",
            "expected one of them"},
        RefusedComparison{
            "--methods dude --lr 0.1 --updates 3 --target-loss 1 --target-gradient-norm-sq 1 --eval-every 5",
            "expected one of them"},
        RefusedComparison{"--methods dude --lr 0.1 --updates 3 --target-gradient-norm-sq 1 --eval-every 5",
                          "--target-gradient-norm-sq needs --eval-every and --eval-gradient"},
        RefusedComparison{"--methods asgd,sync --lr 0.1 --updates 3 --gather 2",
                          "methods that use it: ca2fl, dude, fedbuff"},
        RefusedComparison{"--methods asgd,dude --lr 0.1 --updates 3 --gather 3", "--gather 3: expected"},
        RefusedComparison{"--methods dude --lr 0.1 --updates 3 --log-dir problem.json/logs",
                          "--log-dir problem.json/logs: cannot be made"},
        RefusedComparison{"--methods dude --lr 0.1 --updates 3 --init absent.safetensors",
                          "absent.safetensors: cannot be read"},
        RefusedComparison{"--methods dude --lr 0.1 --updates 3 --save model.safetensors", "--save"}));

}  // namespace
}  // namespace tardigrad
