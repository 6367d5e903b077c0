// Runs whose outputs cannot be written any more go on to their end.

#include <gmock/gmock.h>

#include "tests/support/program.h"

namespace tardigrad {
namespace {

using testing::Finished;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::read_file;
using testing::records_of;

class OutputTrouble : public testing::QuadraticTest {
 protected:
  /// Enough for every output to be written many times.
  const std::string run_ =
      "train --model quadratic:problem.json --method dude --lr 0.1 --clock virtual --compute-time 1,2.5 "
      "--updates 2000 --eval-every 100 --save m.safetensors ";

  void expect_the_model_of_a_run_without_trouble() const {
    const std::string saved = read_file(path("m.safetensors"));
    EXPECT_EQ(tardigrad(run_).exit_code, 0);
    EXPECT_EQ(saved, read_file(path("m.safetensors")));
  }

  std::size_t complaints(const std::string& err) const {
    std::size_t count = 0;
    for (std::size_t at = 0; (at = err.find("tardigrad: ", at)) != std::string::npos; ++at) ++count;
    return count;
  }
};

TEST_F(OutputTrouble, OfAFullDiskIsSaidOnce) {
  std::filesystem::create_symlink("/dev/full", path("full"));
  for (const std::string flag : {"--log", "--record", "--trace"}) {
    const Finished run = tardigrad(run_ + flag + " full");
    EXPECT_EQ(run.exit_code, 0) << run.err;
    EXPECT_THAT(run.err, HasSubstr("tardigrad: " + flag +
                                   " full: cannot be written: No space left on device; the run goes on, and "
                                   "tries again\n"));
    EXPECT_EQ(complaints(run.err), 1U) << run.err;
    EXPECT_THAT(run.out, HasSubstr("2000 updates from"));
    expect_the_model_of_a_run_without_trouble();
  }
}

TEST_F(OutputTrouble, APipeThatIsClosedEndsNothing) {
  tardigrad(run_ + "--log log.jsonl 2>&1 | head -1");
  EXPECT_EQ(records_of(path("log.jsonl"), "summary").size(), 1U);
  expect_the_model_of_a_run_without_trouble();
}

TEST_F(OutputTrouble, AClosedPipeOfALogEndsNothing) {
  const Finished run =
      shell("mkfifo pipe; head -1 pipe >first & \"$tardigrad\" " + run_ + "--log pipe && wait $!");
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(complaints(run.err), 1U) << run.err;
  EXPECT_THAT(run.err, HasSubstr("tardigrad: --log pipe: cannot be written: Broken pipe; the run goes on"));
  EXPECT_THAT(read_file(path("first")), HasSubstr(R"({"event":"run")"));
}

TEST_F(OutputTrouble, ASummaryThatCannotBePrintedIsNamed) {
  tardigrad(run_ + "--log log.jsonl 2>errors >/dev/full | cat");
  EXPECT_THAT(read_file(path("errors")),
              HasSubstr("tardigrad: stdout: cannot be written: No space left on device\n"));
  EXPECT_EQ(records_of(path("log.jsonl"), "summary").size(), 1U);
}

// A file opened while stdout and stderr are closed must not become one of them.
TEST_F(OutputTrouble, ClosedStreamsPutNothingIntoFiles) {
  tardigrad(run_ + "--log log.jsonl 2>&- >&- <&- | cat");
  EXPECT_EQ(testing::read_log(path("log.jsonl")).back().at("event"), "summary");
  expect_the_model_of_a_run_without_trouble();
}

TEST_F(OutputTrouble, TheModelGoesSomewhere) {
  std::filesystem::create_directories(path("m.safetensors.partial/folder"));  // in the way
  for (const std::string name : {"m.safetensors.rescued", "m.safetensors.rescued-2"}) {
    const Finished run = tardigrad(run_);
    EXPECT_EQ(run.exit_code, 1);
    EXPECT_THAT(
        run.err,
        HasSubstr("tardigrad: --save m.safetensors: cannot be written: Is a directory; the model is in " +
                  std::filesystem::canonical(path("")).string() + "/" + name + "\n"));
  }
  std::filesystem::remove_all(path("m.safetensors.partial"));
  EXPECT_EQ(tardigrad(run_).exit_code, 0);
  EXPECT_TRUE(read_file(path("m.safetensors")) == read_file(path("m.safetensors.rescued")));
}

TEST_F(OutputTrouble, OutputsThatCannotBeAreRefusedBeforeTheRun) {
  std::filesystem::create_directory(path("folder"));
  for (const std::string flag : {"--log", "--record", "--trace", "--save"}) {
    EXPECT_EQ(tardigrad(run_ + flag + " folder").exit_code, 2);
    EXPECT_EQ(tardigrad(run_ + flag + " nowhere/file").exit_code, 2);
  }
}

TEST_F(OutputTrouble, ARecordingThatBreaksOffSaysSo) {
  ASSERT_EQ(tardigrad(run_ + "--record recording").exit_code, 0);
  EXPECT_THAT(tardigrad("train --replay recording").err, Not(HasSubstr("breaks off")));
  const std::string text = read_file(path("recording"));
  write("recording", text.substr(0, text.size() / 2));
  const Finished again = tardigrad("train --replay recording");
  EXPECT_EQ(again.exit_code, 0);
  EXPECT_THAT(again.err,
              HasSubstr("tardigrad: --replay recording: the recording breaks off: its run was killed, "
                        "or could not write it\n"));
}

}  // namespace
}  // namespace tardigrad
