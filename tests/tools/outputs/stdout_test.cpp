// What a command prints to stdout, and what becomes of it where stdout cannot be written.

#include <gmock/gmock.h>

#include "tests/support/program.h"

namespace tardigrad {
namespace {

using testing::Finished;
using ::testing::HasSubstr;
using testing::read_file;
using testing::records_of;

class Stdout : public testing::QuadraticTest {
 protected:
  const std::string problem_ =
      "--model quadratic:problem.json --clock virtual --compute-time 1,2.5 --updates 20 --lr 0.1 ";
  const std::string train_ = "train --method dude " + problem_;

  static constexpr const char* full_ = "tardigrad: stdout: cannot be written: No space left on device\n";
};

TEST_F(Stdout, ThatIsFullIsSaidByEveryCommand) {
  ASSERT_EQ(tardigrad(train_ + "--log run.jsonl --eval-every 5").exit_code, 0);
  for (const std::string& command :
       {std::string("--help"), std::string("--version"), std::string("train --help"), std::string("devices"),
        std::string("table run.jsonl"), train_ + "--show-memory",
        "compare --methods dude,asgd " + problem_}) {
    const Finished run = shell("\"$tardigrad\" " + command + " >/dev/full");
    EXPECT_EQ(run.exit_code, 1) << command;
    EXPECT_THAT(run.err, ::testing::EndsWith(full_)) << command;
  }
}

TEST_F(Stdout, ThatIsFullHarmsNoRun) {
  const Finished run = shell("\"$tardigrad\" " + train_ + "--save m --log run.jsonl >/dev/full");
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_THAT(run.err, ::testing::EndsWith(full_));
  EXPECT_EQ(records_of(path("run.jsonl"), "summary").size(), 1U);
  EXPECT_EQ(tardigrad(train_ + "--save same").exit_code, 0);
  EXPECT_EQ(read_file(path("m")), read_file(path("same")));
}

// As most programs: who reads no further wants no more, and hears nothing of it.
TEST_F(Stdout, ThatNobodyReadsEndsWhatOnlyPrints) {
  const std::string to_nobody = "exec 3> >(exec true); wait $!; ";
  const std::string as_usual = "exec env --default-signal=PIPE ";  // whoever started the tests may ignore it
  const Finished devices = shell(to_nobody + as_usual + "\"$tardigrad\" devices >&3");
  EXPECT_EQ(devices.exit_code, 128 + SIGPIPE);
  EXPECT_EQ(devices.err, "");
  const Finished ignored = shell("trap '' PIPE; " + to_nobody + "\"$tardigrad\" devices >&3");
  EXPECT_EQ(ignored.exit_code, 1);
  EXPECT_EQ(ignored.err, "tardigrad: stdout: cannot be written: Broken pipe\n");
}

TEST_F(Stdout, ThatNobodyReadsEndsNoRun) {
  const Finished run = shell("exec 3> >(exec true); wait $!; \"$tardigrad\" " + train_ + "--save m >&3");
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_THAT(run.err, HasSubstr("tardigrad: stdout: cannot be written: Broken pipe\n"));
  EXPECT_TRUE(std::filesystem::exists(path("m")));
}

TEST_F(Stdout, ThatIsClosedIsSaid) {
  const Finished run = shell("\"$tardigrad\" devices >&-");
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_EQ(run.err, "tardigrad: stdout: cannot be written: Bad file descriptor\n");
}

TEST_F(Stdout, ShowsLargeNumbersInFewDigits) {
  const Finished run = tardigrad(
      "train --method asgd --model quadratic:problem.json --clock virtual --compute-time 4e12,4e12 "
      "--updates 6 --lr 0.1 --eval-every 2");
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("6 updates from 6 gradients in 1.2000e+13 units"));
  EXPECT_THAT(run.err, HasSubstr("evaluation at update 4  time 8.0000e+12 units: loss -0.0555"));
}

}  // namespace
}  // namespace tardigrad
