// Outputs and logs that are no files: "-", pipes and devices.

#include <gmock/gmock.h>

#include <sstream>

#include "runtime/base/json_text.h"
#include "tests/support/program.h"

namespace tardigrad {
namespace {

using ::testing::AllOf;
using testing::Finished;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::read_file;
using testing::read_log;
using testing::records_of;

class OutputStreams : public testing::QuadraticTest {
 protected:
  const std::string run_ =
      "train --model quadratic:problem.json --method dude --lr 0.1 --clock virtual --compute-time 1,2.5 "
      "--updates 40 --eval-every 10 ";
  const std::string start_ = "\"$tardigrad\" " + run_;

  void expect_a_whole_log(const std::string& name) const {
    const auto records = read_log(path(name));
    ASSERT_FALSE(records.empty());
    EXPECT_EQ(records.front().at("event"), "run");
    EXPECT_EQ(records.back().at("event"), "summary");
    EXPECT_EQ(records_of(path(name), "update").size(), 40U);
  }

  std::string saved_by_a_file() const {
    EXPECT_EQ(tardigrad(run_ + "--save file").exit_code, 0);
    return read_file(path("file"));
  }
};

TEST_F(OutputStreams, ALogMayGoToStdoutByAnyName) {
  for (const std::string name : {"-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"}) {
    const Finished run = shell("set -o pipefail; " + start_ + "--log " + name + " | cat >log");
    EXPECT_EQ(run.exit_code, 0) << run.err;
    expect_a_whole_log("log");
    EXPECT_THAT(run.err, HasSubstr("40 updates from"));  // the summary makes way
  }
  EXPECT_EQ(files(), (std::vector<std::string>{"log", "problem.json"}));
}

TEST_F(OutputStreams, ALogMayGoToAProcess) {
  const Finished run = shell(start_ + "--log >(gzip >log.gz) && wait $! && gzip -d log.gz");
  EXPECT_EQ(run.exit_code, 0) << run.err;
  expect_a_whole_log("log");
  EXPECT_THAT(run.out, HasSubstr("40 updates from"));
}

TEST_F(OutputStreams, AStreamHasOneLogOfAnySize) {
  const Finished run = shell(start_ + "--updates 1000 --log - --log-size 4K >log");
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(records_of(path("log"), "update").size(), 1000U);
  EXPECT_EQ(files(), (std::vector<std::string>{"log", "problem.json"}));
}

TEST_F(OutputStreams, WhatStdoutHeldBeforeStays) {
  const Finished run =
      shell("echo before >log; " + start_ + "--log - >>log && " + start_ + "--log /dev/stdout >>log");
  EXPECT_EQ(run.exit_code, 0) << run.err;
  const std::string text = read_file(path("log"));
  EXPECT_TRUE(text.starts_with("before\n{\"event\":\"run\""));
  EXPECT_NE(text.find("\"event\":\"run\""), text.rfind("\"event\":\"run\""));
}

TEST_F(OutputStreams, AModelMayGoAnywhere) {
  const std::string model = saved_by_a_file();
  EXPECT_EQ(shell(start_ + "--save - >stdout").exit_code, 0);
  EXPECT_EQ(read_file(path("stdout")), model);
  EXPECT_EQ(shell("set -o pipefail; " + start_ + "--save /dev/stdout | cat >piped").exit_code, 0);
  EXPECT_EQ(read_file(path("piped")), model);
  const Finished named = shell("mkfifo pipe; cat pipe >from_pipe & " + start_ + "--save pipe && wait $!");
  EXPECT_EQ(named.exit_code, 0) << named.err;
  EXPECT_EQ(read_file(path("from_pipe")), model);
}

TEST_F(OutputStreams, AModelThatNobodyReadsIsRescued) {
  const std::string model = saved_by_a_file();
  const Finished run = shell("exec 3> >(exec true); wait $!; " + start_ + "--save /dev/fd/3");
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_THAT(run.err, AllOf(HasSubstr("--save /dev/fd/3: cannot be written: Broken pipe; the model is in "),
                             HasSubstr("/model.safetensors.rescued\n")));
  EXPECT_EQ(read_file(path("model.safetensors.rescued")), model);
}

TEST_F(OutputStreams, RecordingsAndTracesMayGoToStdout) {
  EXPECT_EQ(shell(start_ + "--record - >recording").exit_code, 0);
  EXPECT_EQ(tardigrad("train --replay recording --save replayed").exit_code, 0);
  EXPECT_EQ(read_file(path("replayed")), saved_by_a_file());
  EXPECT_EQ(shell(start_ + "--trace - >trace").exit_code, 0);
  EXPECT_TRUE(parse_own_json(read_file(path("trace"))).is_array());
}

TEST_F(OutputStreams, TheNullDeviceTakesEverything) {
  const Finished run =
      tardigrad(run_ + "--save /dev/null --log /dev/null --record /dev/null --trace /dev/null");
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("40 updates from"));
  EXPECT_FALSE(std::filesystem::exists("/dev/null.partial"));
}

TEST_F(OutputStreams, WhatWouldMixIsRefused) {
  const auto refusal = [&](const std::string& arguments) {
    const Finished run = shell("touch log; ln -f log link; " + start_ + arguments);
    EXPECT_EQ(run.exit_code, 2) << arguments;
    EXPECT_EQ(run.out, "");
    return run.err;
  };
  EXPECT_THAT(refusal("--save - --log /dev/stdout"),
              HasSubstr("--log /dev/stdout: is the stream of --save\n"));
  EXPECT_THAT(refusal("--log - --trace /dev/fd/3 3>&1"),
              HasSubstr("--trace /dev/fd/3: is the stream of --log\n"));
  EXPECT_THAT(refusal("--log log --record link"), HasSubstr("is the file of --log\n"));
  refusal("--log /dev/stderr");
  refusal("--log /dev/fd/9");
  refusal("--log /dev/stdin");
}

TEST_F(OutputStreams, MessagesDoNotGetIntoAStream) {
  const Finished run = shell(start_ + "--log - 2>&1");
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_EQ(run.out,
            "tardigrad: --log -: messages on stderr go there, too; expected 2> to take them elsewhere\n");
}

TEST_F(OutputStreams, ALogOnAStreamBeginsAnewWhenARunGoesOn) {
  const std::string checkpoints = "--checkpoint-dir checkpoints ";
  ASSERT_EQ(shell(start_ + checkpoints + "--log - >first").exit_code, 0);
  const std::string before = read_file(path("first"));
  // With the options of before, which are "--log -", too.
  const Finished run = shell("\"$tardigrad\" train --resume checkpoints --updates 60 >second");
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.err, HasSubstr("--log -: is a stream; begins anew, with nothing of before\n"));
  EXPECT_EQ(read_file(path("first")), before);
  EXPECT_EQ(records_of(path("second"), "run").size(), 1U);
  EXPECT_EQ(records_of(path("second"), "update").front().at("update"), 41);
}

TEST_F(OutputStreams, DescriptorsAreNotForWhoeverGoesOn) {
  ASSERT_EQ(shell(start_ + "--checkpoint-dir checkpoints --log /dev/fd/3 --record r 3>log").exit_code, 0);
  const Finished run = shell("\"$tardigrad\" train --resume checkpoints --updates 60");
  EXPECT_EQ(run.exit_code, 0) << run.err;
}

class LogStreams : public OutputStreams {
 protected:
  LogStreams() { EXPECT_EQ(tardigrad(run_ + "--log log").exit_code, 0); }
};

TEST_F(LogStreams, ATableIsMadeOfThemAsOfFiles) {
  const std::string table = tardigrad("table log").out;
  EXPECT_THAT(table, HasSubstr("loss at time"));
  for (const std::string way :
       {"cat log | \"$tardigrad\" table -", "\"$tardigrad\" table - <log", "\"$tardigrad\" table <(cat log)",
        "cat log | \"$tardigrad\" table /dev/stdin"}) {
    EXPECT_EQ(shell(way).out, table) << way;
  }
  const Finished with_a_file = shell("cat log | \"$tardigrad\" table log -");
  EXPECT_EQ(with_a_file.exit_code, 0) << with_a_file.err;
}

TEST_F(LogStreams, AReportIsMadeOfThemAsOfFiles) {
  if (tardigrad("report log -o page").exit_code != 0) GTEST_SKIP() << "no chart library";
  EXPECT_EQ(shell("set -o pipefail; cat log | \"$tardigrad\" report - -o - | cat >piped").exit_code, 0);
  EXPECT_EQ(read_file(path("piped")), read_file(path("page")));
  const Finished full = shell("\"$tardigrad\" report log -o - >/dev/full");
  EXPECT_EQ(full.exit_code, 1);
  EXPECT_THAT(full.err, HasSubstr("--output -: cannot be written: No space left on device\n"));
  EXPECT_EQ(tardigrad("report log -o ./log").exit_code, 2);
  expect_a_whole_log("log");
}

TEST_F(LogStreams, PartsMayFollowEachOther) {
  ASSERT_EQ(tardigrad(run_ + "--updates 1000 --log parts --log-size 20K").exit_code, 0);
  ASSERT_TRUE(std::filesystem::exists(path("parts.2")));
  EXPECT_EQ(shell("cat $(ls -r parts*) | \"$tardigrad\" table -").out, tardigrad("table parts").out);
  const Finished mixed = shell("cat parts log | \"$tardigrad\" table -");
  EXPECT_EQ(mixed.exit_code, 2);
  EXPECT_THAT(mixed.err, AllOf(HasSubstr("tardigrad: stdin:"), HasSubstr("not a record of a log")));
}

TEST_F(LogStreams, AreReadButOnce) {
  const Finished twice = shell("cat log | \"$tardigrad\" table - /dev/stdin");
  EXPECT_EQ(twice.exit_code, 2);
  EXPECT_THAT(twice.err, HasSubstr("/dev/stdin: is named twice, and can be read but once\n"));
  const Finished nothing = shell("\"$tardigrad\" table - </dev/null");
  EXPECT_EQ(nothing.exit_code, 2);
  EXPECT_THAT(nothing.err,
              HasSubstr("stdin: does not begin with a run record; expected a file written by --log"));
}

}  // namespace
}  // namespace tardigrad
