// Recording and repeating runs through the command line.

#include <gmock/gmock.h>

#include "runtime/device/device.h"
#include "tests/support/program.h"

namespace tardigrad {
namespace {

using testing::Finished;
using ::testing::HasSubstr;
using testing::records_of;

class ReplayCommand : public testing::QuadraticTest {
 protected:
  Finished succeed(const std::string& arguments) const {
    Finished run = tardigrad("train " + arguments);
    EXPECT_EQ(run.exit_code, 0) << run.err;
    return run;
  }

  std::string bytes(const std::string& name) const { return testing::read_file(path(name)); }

  /// Records the run, repeats it by `--replay` alone, and compares what both left, but for how long jobs took
  /// to be handed over.
  void expect_repeatable(const std::string& arguments) const {
    SCOPED_TRACE(arguments);
    succeed(arguments +
            " --record recording.jsonl --save first.safetensors --log first.jsonl --log-detail updates");
    succeed(
        "--replay recording.jsonl --save again.safetensors --log again.jsonl "
        "--log-detail updates --record again.recording");
    EXPECT_TRUE(bytes("again.safetensors") == bytes("first.safetensors"));
    EXPECT_EQ(bytes("again.recording"), bytes("recording.jsonl"));
    const auto updates = records_of(path("first.jsonl"), "update");
    EXPECT_FALSE(updates.empty());
    EXPECT_EQ(records_of(path("again.jsonl"), "update"), updates);
    EXPECT_EQ(records_of(path("again.jsonl"), "summary").at(0).at("final_loss"),
              records_of(path("first.jsonl"), "summary").at(0).at("final_loss"));
  }

  /// Of --replay with these arguments: nothing is said but why not.
  std::string refusal(const std::string& arguments) const {
    const Finished run = tardigrad("train --replay recording.jsonl " + arguments);
    EXPECT_EQ(run.exit_code, 2) << run.err;
    return run.err;
  }

  /// Twenty updates of sync on the quadratic, in virtual time.
  void record_sync(const std::string& more = "") const {
    succeed(
        "--model quadratic:problem.json --method sync --lr 0.1 --updates 20 --clock virtual "
        "--compute-time 2,3 --record recording.jsonl " +
        more);
  }

  const std::string on_quadratic_ = "--model quadratic:problem.json --lr 0.05 --updates 60 ";
  const std::string on_images_ =
      "--model mlp:16 --dataset mnist --data-dir . --workers 3 --batch-size 8 --lr 0.05 --updates 30 ";
};

TEST_F(ReplayCommand, RepeatsVirtualTime) {
  expect_repeatable(on_quadratic_ +
                    "--method ringleader --clock virtual --compute-time exponential:1+exponential");
}

TEST_F(ReplayCommand, RepeatsWallTimeWithItsDiscards) {
  for (const std::string method : {"malenia", "ringmaster --delay-threshold 1", "rennala --gather 3"}) {
    expect_repeatable(on_quadratic_ + "--device cpu:2 --method " + method);
  }
}

TEST_F(ReplayCommand, OnAGpuRepeatsWallTimeWithItsDiscards) {
  if (cuda_device_count() == 0) GTEST_SKIP() << "no GPU: " << why_no_cuda();
  for (const std::string method : {"malenia", "ringmaster --delay-threshold 1", "rennala --gather 3"}) {
    expect_repeatable(on_quadratic_ + "--device cuda --method " + method);
  }
}

TEST_F(ReplayCommand, RepeatsThrottledWallTimeWithEvents) {
  write("events.toml", "[[event]]\ntime = 5\nworker = 0\nslowdown = 4\n");
  expect_repeatable(
      on_quadratic_ +
      "--method asgd-rescaled --compute-time 1,3+exponential --time-unit 0.0003 --events events.toml");
}

TEST_F(ReplayCommand, RepeatsTrainingOnImages) {
  write_images(60, 20);
  expect_repeatable(on_images_ +
                    "--method dude --partition dirichlet:0.5 --seed 12345678901234567890 --device cpu:2");
}

TEST_F(ReplayCommand, RepeatsAllThatAServerDoes) {
  write_images(60, 20);
  expect_repeatable(on_images_ +
                    "--deterministic --method fedbuff --gather 3 --local-steps 2 --local-lr 0.03 --momentum "
                    "0.9 --weight-decay "
                    "1e-4 --clip-norm 5 --lr-schedule cosine --sampling replacement --eval-every 10");
}

TEST_F(ReplayCommand, RepeatsOnAnyDevicesAndFromTheSameStart) {
  succeed("--model quadratic:problem.json --method sync --lr 0.1 --updates 2 --save start.safetensors");
  expect_repeatable(on_quadratic_ + "--method dude --init start.safetensors --device cpu:3 --workers 2");
  succeed("--replay recording.jsonl --device cpu:1 --save one.safetensors --eval-every 7");
  EXPECT_TRUE(bytes("one.safetensors") == bytes("first.safetensors"));
}

TEST_F(ReplayCommand, MayEndSooner) {
  record_sync("--save whole.safetensors");
  succeed("--replay recording.jsonl --updates 5 --save five.safetensors --log log.jsonl");
  EXPECT_EQ(records_of(path("log.jsonl"), "summary").at(0).at("stop_reason"), "updates");
  succeed(
      "--model quadratic:problem.json --method sync --lr 0.1 --updates 5 --clock virtual --compute-time 2,3 "
      "--save direct.safetensors");
  EXPECT_TRUE(bytes("five.safetensors") == bytes("direct.safetensors"));
  succeed("--replay recording.jsonl --time-limit 7 --log log.jsonl");
  EXPECT_EQ(records_of(path("log.jsonl"), "summary").at(0).at("updates"), 2);
}

TEST_F(ReplayCommand, EndsWhereTheRecordingEnds) {
  record_sync();
  const std::string whole = bytes("recording.jsonl");
  std::size_t end = 0;
  for (int line = 0; line < 7; ++line) end = whole.find('\n', end) + 1;
  write("recording.jsonl", whole.substr(0, end));  // six arrivals, three updates
  succeed("--replay recording.jsonl --log log.jsonl");
  const auto summary = records_of(path("log.jsonl"), "summary").at(0);
  EXPECT_EQ(summary.at("stop_reason"), "end-of-recording");
  EXPECT_EQ(summary.at("updates"), 3);
}

TEST_F(ReplayCommand, OtherOptionsThanTheRecordedOnesAreRefused) {
  record_sync();
  const std::string file = "--replay recording.jsonl: recorded with ";
  EXPECT_THAT(refusal("--lr 0.2"), HasSubstr(file + "lr 0.1, but this run has 0.2"));
  EXPECT_THAT(refusal("--method dude"), HasSubstr(file + "method sync, but this run has dude"));
  EXPECT_THAT(refusal("--seed 4"), HasSubstr(file + "seed 0, but this run has 4"));
  EXPECT_THAT(refusal("--momentum 0.5"), HasSubstr(file + "momentum 0.0, but this run has 0.5"));
  EXPECT_THAT(refusal("--clip-norm 2"), HasSubstr(file + "clip_norm not given, but this run has 2.0"));
  EXPECT_THAT(refusal("--compute-time 2,4"), HasSubstr(file + "compute_time 2,3, but this run has 2,4"));
  EXPECT_THAT(refusal("--workers 3"), HasSubstr("--workers: 3 for the 2 workers"));
  write("problem.json", R"({"A":[[[1]],[[2]]],"b":[[1],[0]],"x0":[0.5]})");
  EXPECT_THAT(refusal(""), HasSubstr(file + "dimension 2, but this run has 1"));
}

// The end of the run is part of the schedule.
TEST_F(ReplayCommand, ACosineKeepsItsLimits) {
  record_sync("--lr-schedule cosine");
  EXPECT_THAT(refusal("--updates 5"), HasSubstr("recorded with updates 20, but this run has 5"));
  EXPECT_THAT(refusal("--time-limit 5"), HasSubstr("recorded with time_limit not given, but this run has 5"));
}

TEST_F(ReplayCommand, EditedLinesAreNamed) {
  record_sync();
  std::string text = bytes("recording.jsonl");
  const std::string line = R"({"event":"arrival","worker":1,"job":1,"version":1,)";
  const std::size_t at = text.find(line);
  ASSERT_NE(at, std::string::npos);
  const auto number = 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n');
  write("recording.jsonl",
        text.replace(at, line.size(), R"({"event":"arrival","worker":1,"job":7,"version":1,)"));
  EXPECT_THAT(refusal("--save model.safetensors"),
              HasSubstr("--replay recording.jsonl:" + std::to_string(number) +
                        ": the recording has job 7 of worker 1 at version 1, this run job 1 at version 1"));
  EXPECT_FALSE(std::filesystem::exists(path("model.safetensors")));
}

TEST_F(ReplayCommand, WhatIsNoRecordingIsRefused) {
  EXPECT_THAT(refusal(""), HasSubstr("--replay recording.jsonl: cannot be read; expected a file written by"));
  for (const char* text : {"", "{}\n", "junk", "{\"event\":7}\n"}) {
    write("recording.jsonl", text);
    EXPECT_THAT(refusal(""), HasSubstr("--replay recording.jsonl: does not begin with a run record"));
  }
  // A run record of something else: what is missing is said as for any run.
  write("recording.jsonl", "{\"event\":\"run\",\"clock\":\"wall\"}\n");
  EXPECT_THAT(refusal(""), HasSubstr("required"));
}

TEST_F(ReplayCommand, ARecordingIsNotWrittenOverWhileItIsRead) {
  record_sync();
  const std::string before = bytes("recording.jsonl");
  EXPECT_THAT(refusal("--record recording.jsonl"),
              HasSubstr("--record recording.jsonl: is the file to --replay"));
  EXPECT_THAT(refusal("--record ./recording.jsonl"), HasSubstr("is the file to --replay"));
  EXPECT_THAT(refusal("--log recording.jsonl"), HasSubstr("--log recording.jsonl: is the file to --replay"));
  EXPECT_THAT(refusal("--save recording.jsonl"),
              HasSubstr("--save recording.jsonl: is the file to --replay"));
  EXPECT_EQ(bytes("recording.jsonl"), before);
}

// `--log` of another run is much alike; its arrivals are not.
TEST_F(ReplayCommand, ALogIsNoRecording) {
  record_sync("--log log.jsonl");
  const Finished run = tardigrad("train --replay log.jsonl");
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_THAT(run.err, HasSubstr("--replay log.jsonl:2: not a record written by --record"));
}

}  // namespace
}  // namespace tardigrad
