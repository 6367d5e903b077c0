// What may change when a run goes on, what is said of it, and what the run still knows.

#include <gmock/gmock.h>

#include "runtime/checkpoint/checkpoint_folder.h"
#include "tests/support/program.h"

namespace tardigrad {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using testing::Finished;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::read_file;

class ResumedOptions : public testing::QuadraticTest {
 protected:
  Finished succeed(const std::string& arguments) const {
    Finished run = tardigrad("train " + arguments);
    EXPECT_EQ(run.exit_code, 0) << arguments << ": " << run.err;
    return run;
  }

  std::string refusal(const std::string& arguments) const {
    const Finished run = tardigrad("train " + arguments);
    EXPECT_EQ(run.exit_code, 2) << arguments << ": " << run.err;
    return run.err;
  }

  const std::string virtual_ =
      "--model quadratic:tridiagonal:100 --method dude --lr 0.001 --clock virtual --device cpu:1 ";
};

// ---- With other workers ----

TEST_F(ResumedOptions, ThatGoWithWorkersMayChangeWithThem) {
  succeed(virtual_ +
          "--workers 3 --compute-time 1,2,40 --throttle 2=2x --gather 3 --updates 20 --checkpoint-dir D");
  EXPECT_THAT(refusal("--resume D --updates 40 --workers 2 --gather 2"),
              HasSubstr("one time for each of the 2 workers"));
  const Finished run =
      succeed("--resume D --updates 40 --workers 2 --compute-time 1,2 --throttle 1=3x --gather 2");
  EXPECT_THAT(run.err,
              AllOf(HasSubstr("--workers 2: they were 3"), HasSubstr("; --compute-time 1,2 was 1,2,40"),
                    HasSubstr("; --throttle 1=3x was 2=2x"), HasSubstr("; --gather 2 was 3")));
  EXPECT_THAT(run.out, HasSubstr("40 updates"));
  EXPECT_THAT(refusal("--resume D --updates 60 --compute-time 1,3"),
              HasSubstr("compute_time was \"1,2\"; expected it again, as --workers is, found \"1,3\""));
}

TEST_F(ResumedOptions, EventsOfWorkersMayChangeWithThem) {
  write("three.toml", "[[event]]\ntime = 5\nworker = 2\nslowdown = 2\n");
  write("other.toml", "[[event]]\ntime = 5\nworker = 1\nslowdown = 2\n");
  write("two.toml", "[[event]]\ntime = 5\nworker = 1\nstate = \"failed\"\n");
  succeed(virtual_ +
          "--workers 3 --compute-time linear:1:1 --events three.toml --updates 20 --checkpoint-dir D");
  const Finished run = succeed("--resume D --updates 40 --workers 2 --events two.toml");
  EXPECT_THAT(run.err, AllOf(HasSubstr("; --events two.toml was three.toml"),
                             HasSubstr("tardigrad: worker 1 is lost at update 20")));
  EXPECT_THAT(refusal("--resume D --updates 60 --events other.toml"), HasSubstr("events was \"two.toml\""));
}

TEST_F(ResumedOptions, AQuadraticFileMayChangeWithItsWorkers) {
  write("three.json",
        R"({"A":[[[1,0],[0,2]],[[2,0],[0,1]],[[1,0],[0,1]]],"b":[[1,0],[0,1],[1,1]],"x0":[0,0]})");
  succeed(
      "--model quadratic:problem.json --method asgd --lr 0.01 --clock virtual --compute-time 1,2 --updates "
      "20 "
      "--checkpoint-dir D");
  EXPECT_THAT(refusal("--resume D --updates 40 --workers 3 --compute-time 1,2,3"), HasSubstr("--workers: 3"));
  const Finished run =
      succeed("--resume D --updates 40 --workers 3 --compute-time 1,2,3 --model quadratic:three.json");
  EXPECT_THAT(run.err, HasSubstr("--model quadratic:three.json was quadratic:problem.json"));
  EXPECT_THAT(refusal("--resume D --updates 60 --model quadratic:problem.json --workers 2 --compute-time 1,2 "
                      "--method dude"),
              HasSubstr("method was \"asgd\""));
}

// ---- Step sizes ----

TEST_F(ResumedOptions, SaysHowFarTheStepSizeJumps) {
  const std::string run = virtual_ + "--workers 2 --compute-time 1,2 --lr-schedule cosine ";
  succeed(run + "--updates 40 --checkpoint-dir D");
  EXPECT_THAT(
      succeed("--resume D --updates 80").err,
      HasSubstr("the step size goes from 0 to 0.0005 at update 40, as --lr-schedule cosine now ends at "
                "80 updates, and did at 40 updates\n"));
  const std::string constant = succeed("--resume D --updates 100 --lr-schedule step:10:0.5 --lr 0.01").err;
  EXPECT_THAT(constant,
              HasSubstr("the step size goes from 0 to 3.91e-05 at update 80, as --lr 0.01 was 0.001 "
                        "and --lr-schedule step:10:0.5 was cosine\n"));
  EXPECT_THAT(succeed("--resume D --updates 120").err, Not(HasSubstr("the step size")));
}

TEST_F(ResumedOptions, StepSizesJumpByTimeToo) {
  succeed(virtual_ +
          "--workers 2 --compute-time 1,2 --lr-schedule cosine --time-limit 20 --checkpoint-dir D");
  EXPECT_THAT(succeed("--resume D --time-limit 40").err,
              HasSubstr("--lr-schedule cosine now ends at time 40, and did at time 20\n"));
}

// ---- What the run still knows ----

TEST_F(ResumedOptions, SaysWhereItGoesOn) {
  succeed(virtual_ + "--workers 2 --compute-time 1,2 --updates 20 --checkpoint-dir D");
  EXPECT_THAT(succeed("--resume D --updates 40").err,
              HasSubstr("going on at update 20, time 15.0 units, from checkpoint D/update-20-gradient-21\n"));
}

TEST_F(ResumedOptions, WarnsOfNothingThatTheStraightRunDoesNot) {
  const std::string run = virtual_ + "--workers 2 --compute-time 1,2 ";
  EXPECT_THAT(succeed(run + "--updates 100").err, Not(HasSubstr("warning")));
  succeed(run + "--updates 50 --checkpoint-dir D");
  EXPECT_THAT(succeed("--resume D --updates 100").err, Not(HasSubstr("warning")));
}

// The smoothness is estimated at the first model alone; what is saved was finite.
TEST_F(ResumedOptions, ARunThatDivergesIsWarnedOfAndSavesTheModelItWentOnFrom) {
  const std::string run =
      "--model quadratic:tridiagonal:100 --method asgd --lr 0.001 --clock virtual --device cpu:1 --workers 2 "
      "--compute-time 1,2 ";
  succeed(run + "--updates 300 --checkpoint-dir D");
  const Finished diverged = tardigrad("train --resume D --updates 10000 --lr 5 --save m.safetensors");
  EXPECT_EQ(diverged.exit_code, 4);
  EXPECT_THAT(diverged.err, AllOf(HasSubstr("lr 5 may be too large"), HasSubstr("estimated from gradient"),
                                  HasSubstr("the last finite model is that of update 300")));
  EXPECT_TRUE(read_file(path("m.safetensors")) ==
              read_file(path("D/update-300-gradient-300/model.safetensors")));
}

// As an older program has left it.
TEST_F(ResumedOptions, ACheckpointWithoutThatStateGoesOn) {
  const std::string run = virtual_ + "--workers 2 --compute-time 1,2 ";
  succeed(run + "--updates 50 --checkpoint-dir D");
  const fs::path checkpoint = CheckpointFolder::list(path("D")).back();
  nlohmann::ordered_json state = Checkpoint::read(checkpoint).state();
  ASSERT_EQ(state.erase("observers"), 1U);
  std::ofstream(checkpoint / "state.json") << state;
  write_manifest(checkpoint);
  EXPECT_THAT(succeed("--resume D --updates 100 --save resumed.safetensors").err, Not(HasSubstr("warning")));
  succeed(run + "--updates 100 --save whole.safetensors");
  EXPECT_TRUE(read_file(path("resumed.safetensors")) == read_file(path("whole.safetensors")));
}

}  // namespace
}  // namespace tardigrad
