// Checkpoints, and going on from them, through the command line.

#include <gmock/gmock.h>

#include <CLI/CLI.hpp>

#include "runtime/checkpoint/checkpoint_folder.h"
#include "runtime/device/device.h"
#include "tests/support/program.h"
#include "tools/options/train_command.h"
#include "tools/resume/option_files.h"

namespace tardigrad {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using testing::Finished;
using ::testing::HasSubstr;
using testing::read_file;
using testing::records_of;

class Resume : public testing::QuadraticTest {
 protected:
  Resume() { write_images(60, 20); }

  Finished succeed(const std::string& arguments) const {
    Finished run = tardigrad("train " + arguments);
    EXPECT_EQ(run.exit_code, 0) << arguments << ": " << run.err;
    return run;
  }

  std::string refusal(const std::string& arguments) const {
    const Finished run = tardigrad("train " + arguments);
    EXPECT_EQ(run.exit_code, 2) << arguments;
    const bool says_cpu = run.err.find("running on the CPU") != run.err.npos;  // also one line, and no error
    EXPECT_EQ(std::count(run.err.begin(), run.err.end(), '\n'), says_cpu ? 2 : 1) << run.err;
    return run.err;
  }

  std::string bytes(const std::string& name) const { return read_file(path(name)); }

  std::vector<fs::path> checkpoints(const std::string& folder = "D") const {
    std::vector<fs::path> found;
    for (const auto& entry : fs::directory_iterator(path(folder))) {
      if (entry.path().filename().string().starts_with("update-")) found.push_back(entry.path());
    }
    std::sort(found.begin(), found.end());
    return found;
  }

  /// Interrupted by its limit, and gone on with, a run leaves the bytes of one that was not.
  void expect_same_bytes(const std::string& arguments, int updates,
                         const std::string& resumed_with = "") const {
    SCOPED_TRACE(arguments);
    const std::string limit = " --updates " + std::to_string(updates);
    succeed(arguments + limit + " --save whole.safetensors --log whole.jsonl --log-detail updates");
    succeed(
        arguments + " --updates " + std::to_string(updates / 3) +
        " --checkpoint-dir D --save part.safetensors --log run.jsonl --log-detail updates --record run.rec");
    EXPECT_TRUE(bytes("part.safetensors") == read_file(checkpoints().back() / "model.safetensors"));
    succeed("--resume D --save resumed.safetensors" + limit + " " + resumed_with);
    EXPECT_TRUE(bytes("resumed.safetensors") == bytes("whole.safetensors"));
    EXPECT_EQ(records_of(path("run.jsonl"), "update"), records_of(path("whole.jsonl"), "update"));
    succeed("--replay run.rec --save replayed.safetensors");
    EXPECT_TRUE(bytes("replayed.safetensors") == bytes("whole.safetensors"));
    fs::remove_all(path("D"));
  }

  const std::string quadratic_ =
      "--model quadratic:problem.json --method dude --lr 0.02 --clock virtual --compute-time 2,3 ";
  const std::string images_ =
      "--model mlp:16 --dataset mnist --data-dir . --workers 4 --batch-size 8 --lr 0.05 ";
  const std::string on_cpu_ = images_ + "--device cpu ";
};

TEST_F(Resume, LeavesTheBytesOfARunThatWasNotInterrupted) {
  expect_same_bytes(quadratic_ + "--seed 5 --momentum 0.5", 60);
  expect_same_bytes(on_cpu_ + "--method ringleader --clock virtual --compute-time 1,2,3,9+exponential", 60,
                    "--device cpu:3");
  expect_same_bytes(on_cpu_ + "--method malenia --table-dtype bf16 --clock virtual --compute-time 1,2,3,9",
                    9);
}

TEST_F(Resume, KeepsTheMomentsOfAdamW) {
  expect_same_bytes(on_cpu_ +
                        "--optimizer adamw --weight-decay 0.1 --lr-schedule warmup:20 --method dude --clock "
                        "virtual --compute-time 1,2,3,9",
                    60);
}

TEST_F(Resume, CountsExamplesOn) {
  const std::string common = on_cpu_ +
                             "--batch-size 8,2,4,8 --method asgd --clock virtual --compute-time 1,2,3,9 "
                             "--epochs 2 ";
  succeed(common + "--save whole.safetensors");
  succeed(common + "--updates 9 --checkpoint-dir D");
  const std::string summary = succeed("--resume D --updates 1000 --save resumed.safetensors").out;
  EXPECT_THAT(summary, HasSubstr("epochs")) << "not by 1000 updates";
  EXPECT_TRUE(bytes("resumed.safetensors") == bytes("whole.safetensors"));
}

TEST_F(Resume, GoesOnWithWorkersThatAreLost) {
  write("events.toml",
        "[[event]]\ntime = 20\nworker = 1\nstate = \"failed\"\n"
        "[[event]]\ntime = 90\nworker = 1\nstate = \"working\"\n");
  for (const std::string method : {"dude", "sync", "ringleader", "mifa", "asgd-shuffled"}) {
    const std::string lost_rows = method == "dude" ? " --lost-rows drop" : "";
    expect_same_bytes(on_cpu_ + "--clock virtual --compute-time 1,2,3,9 --events events.toml --method " +
                          method + lost_rows,
                      90);
  }
}

TEST_F(Resume, OnAGpuLeavesTheSameBytesToo) {
  if (cuda_device_count() == 0) GTEST_SKIP() << "no GPU: " << why_no_cuda();
  expect_same_bytes(
      images_ + "--method dude --clock virtual --compute-time 1,2,3,9 --device cuda --deterministic", 15);
  expect_same_bytes(images_ +
                        "--method ringleader --clock virtual --compute-time 1,2,3,9 --device cuda:0 "
                        "--server-device cuda:0 --deterministic",
                    15);
}

TEST_F(Resume, OnAGpuInWallTimeGoesOn) {
  if (cuda_device_count() == 0) GTEST_SKIP() << "no GPU: " << why_no_cuda();
  succeed(images_ + "--method dude --device cuda --updates 40 --checkpoint-dir D --checkpoint-every 10u");
  succeed("--resume D --updates 80 --log log.jsonl");
  EXPECT_EQ(records_of(path("log.jsonl"), "summary").at(0).at("updates"), 80);
}

// Also the recording of a run that went on replays to its bits.
TEST_F(Resume, InWallTimeGoesOn) {
  succeed(on_cpu_ + "--method rennala --updates 20 --checkpoint-dir D --record run.rec --log run.jsonl");
  succeed("--resume D --updates 60 --save resumed.safetensors");
  EXPECT_EQ(records_of(path("run.jsonl"), "summary").back().at("updates"), 60);
  succeed("--replay run.rec --save replayed.safetensors");
  EXPECT_TRUE(bytes("replayed.safetensors") == bytes("resumed.safetensors"));
}

TEST_F(Resume, LatestBeginsWhereThereIsNone) {
  const std::string arguments = quadratic_ + "--checkpoint-dir D --resume latest --save x.safetensors ";
  EXPECT_THAT(succeed(arguments + "--updates 20").err, HasSubstr("no checkpoint in D yet: the run begins"));
  const std::string summary = succeed(arguments + "--updates 40").out;
  EXPECT_THAT(summary, HasSubstr("40 updates from 41 gradients"));
  succeed(quadratic_ + "--updates 40 --save whole.safetensors");
  EXPECT_TRUE(bytes("x.safetensors") == bytes("whole.safetensors"));
}

TEST_F(Resume, IsToldByAFileOfOptionsToo) {
  write("run.toml", "checkpoint-dir = \"D\"\nresume = \"latest\"\n");
  const std::string arguments = quadratic_ + "--config run.toml ";
  EXPECT_THAT(succeed(arguments + "--updates 20").err, HasSubstr("the run begins"));
  EXPECT_THAT(succeed(arguments + "--updates 40").out, HasSubstr("40 updates from 41 gradients"));
}

TEST_F(Resume, PassesOverADamagedCheckpoint) {
  succeed(quadratic_ + "--updates 20 --checkpoint-dir D");
  succeed("--resume D --updates 40");
  ASSERT_EQ(checkpoints().size(), 2U);
  const fs::path newest = checkpoints().back();
  std::string state = read_file(newest / "state.json");
  state[state.size() / 2] ^= 1;
  std::ofstream(newest / "state.json") << state;
  EXPECT_THAT(refusal("--resume D/" + newest.filename().string() + " --updates 60"), HasSubstr("is damaged"));
  const Finished run = succeed("--resume D --updates 60 --save resumed.safetensors");
  EXPECT_THAT(run.err, AllOf(HasSubstr("is damaged"), HasSubstr("going on from D/update-20-gradient-21")));
  succeed(quadratic_ + "--updates 60 --save whole.safetensors");
  EXPECT_TRUE(bytes("resumed.safetensors") == bytes("whole.safetensors"));
}

// So that none of it is read twice.
TEST_F(Resume, HandsOnTheCheckpointThatTheOptionsAreOf) {
  succeed(quadratic_ + "--updates 20 --checkpoint-dir D");
  TrainOptions options;
  CLI::App app;
  const CLI::App* train = add_train_command(app, options);
  const auto [given, checkpoint] =
      expand_option_files(*train, {{"--resume", path("D")}, {"--updates", "40"}});
  ASSERT_NE(checkpoint, nullptr);
  EXPECT_EQ(checkpoint->path, checkpoints().back());
  EXPECT_EQ(checkpoint->state()["run"]["method"], "dude");
  EXPECT_EQ(value_of(given, "--method"), "dude");
  EXPECT_EQ(value_of(given, "--updates"), "40");
  EXPECT_EQ(value_of(given, "--resume"), checkpoint->path);
}

TEST_F(Resume, WithOtherWorkersSaysWhatHappensToRows) {
  succeed(images_ +
          "--method dude --clock virtual --compute-time linear:1:1 --updates 30 --checkpoint-dir D");
  const Finished run = succeed("--resume D --workers 6 --updates 60");
  EXPECT_THAT(run.err, AllOf(HasSubstr("--workers 6: they were 4"),
                             HasSubstr("rows of its gradient table are dropped")));
  EXPECT_THAT(run.out, HasSubstr("60 updates"));
}

TEST_F(Resume, RefusesWhatDoesNotFit) {
  succeed(quadratic_ + "--updates 20 --checkpoint-dir D");
  EXPECT_THAT(refusal("--resume D --updates 40 --method asgd"), HasSubstr("method was \"dude\""));
  EXPECT_THAT(refusal("--resume D --updates 40 --seed 9"), HasSubstr("seed was 0"));
  EXPECT_THAT(refusal("--resume D --updates 40 --compute-time 2,4"), HasSubstr("compute_time was \"2,3\""));
  EXPECT_THAT(refusal("--resume nowhere"), HasSubstr("expected a checkpoint, a folder of them, or latest"));
  EXPECT_THAT(refusal(quadratic_ + "--updates 9 --resume latest"),
              HasSubstr("--resume latest needs --checkpoint-dir"));
  EXPECT_THAT(refusal(quadratic_ + "--updates 9 --checkpoint-dir D"), HasSubstr("holds checkpoints already"));
  EXPECT_THAT(refusal(quadratic_ + "--updates 9 --checkpoint-dir E --checkpoint-every 5x"),
              HasSubstr("expected updates such as 500 or 500u, or a time such as 30s"));
  EXPECT_THAT(refusal(quadratic_ + "--updates 9 --checkpoint-dir problem.json"),
              HasSubstr("--checkpoint-dir"));
  fs::create_directory(path("empty"));
  EXPECT_THAT(refusal("--resume empty"), HasSubstr("there is no checkpoint in it"));
  succeed("--resume D --updates 40");
  EXPECT_THAT(refusal("--resume D/update-20-gradient-21 --updates 60"), HasSubstr("which is newer"));
}

}  // namespace
}  // namespace tardigrad
