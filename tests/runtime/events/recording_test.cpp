// Recordings: what is in them, and which are refused.

#include "runtime/events/recording.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "tests/support/experiment.h"
#include "tests/support/recorded_runs.h"
#include "tests/support/temporary_file.h"
#include "tests/support/without_times.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;
using ::testing::AllOf;
using ::testing::HasSubstr;

/// A recording of four updates of asgd: its run record and the arrivals at 2 (of worker 0), 3 (1), 4 (0) and
/// 6 (0).
class Replay : public ::testing::Test {
 protected:
  Replay() {
    Experiment run(2, "asgd", "2,3", in_virtual_time(4));
    record(run, file_.path());
    std::ifstream file(file_.path());
    for (std::string line; std::getline(file, line);) lines_.push_back(line);
  }

  /// The file with lines, counted from 1, changed: `edit` gets the one.
  void edit(std::size_t line, const std::string& from, const std::string& to) {
    std::string& text = lines_.at(line - 1);
    const std::size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos) << text;
    text.replace(at, from.size(), to);
    write();
  }

  void write() const {
    std::string text;
    for (const std::string& line : lines_) text += line + "\n";
    file_.write(text);
  }

  /// What is said to a recording that does not fit, or is none.
  std::string refusal(const std::string& method = "asgd", int workers = 2) const {
    Experiment run(workers, method, workers == 2 ? "2,3" : "2", in_virtual_time(4));
    run.model[0] = 8;
    try {
      replay(run, file_.path());
    } catch (const std::invalid_argument& error) {
      EXPECT_EQ(run.model[0], 8);
      return error.what();
    }
    return "accepted";
  }

  std::string at(int line) const { return "--replay " + file_.path() + ":" + std::to_string(line) + ": "; }

  TemporaryFile file_;
  std::vector<std::string> lines_;
};

TEST_F(Replay, ARecordingIsALineAnArrival) {
  ASSERT_EQ(lines_.size(), 6U);
  EXPECT_EQ(lines_[5], R"({"event":"end"})");
  EXPECT_EQ(lines_[0], R"({"event":"run","clock":"virtual"})");
  EXPECT_EQ(lines_[2], R"({"event":"arrival","worker":1,"job":0,"version":0,"time":3,"compute_time":3})");
  EXPECT_EQ(refusal(), "accepted");
}

TEST_F(Replay, LimitsMayBeShorterAndNoneIsNeeded) {
  Experiment shorter(2, "asgd", "2,3", in_virtual_time(3));
  EXPECT_EQ(replay(shorter, file_.path()).stop_reason, StopReason::updates);
  EXPECT_EQ(shorter.sequence(), (Sequence{{2, 0, 0}, {3, 1, 1}, {4, 0, 1}}));
  RunOptions options = in_virtual_time(0);
  options.max_updates.reset();
  Experiment without(2, "asgd", "2,3", options);
  const RunSummary summary = replay(without, file_.path());
  EXPECT_EQ(summary.stop_reason, StopReason::recording_ended);
  EXPECT_EQ(summary.updates, 4U);
  EXPECT_EQ(without.model[0], 0.25F);
  options.time_limit = 3.5;
  Experiment timed(2, "asgd", "2,3", options);
  const RunSummary by_time = replay(timed, file_.path());
  EXPECT_EQ(by_time.stop_reason, StopReason::time_limit);
  EXPECT_EQ(by_time.updates, 2U);
  EXPECT_EQ(by_time.time, 3.5);
}

TEST_F(Replay, AFileCutOffEndsTheRunThere) {
  lines_.resize(3);
  write();
  Experiment run(2, "asgd", "2,3", in_virtual_time(4));
  const RunSummary summary = replay(run, file_.path());
  EXPECT_EQ(summary.stop_reason, StopReason::recording_ended);
  EXPECT_EQ(summary.updates, 2U);
  file_.write(lines_[0] + "\n" + lines_[1] + "\n" + lines_[2].substr(0, 20));
  Experiment half(2, "asgd", "2,3", in_virtual_time(4));
  EXPECT_EQ(replay(half, file_.path()).updates, 1U);
  lines_.resize(1);
  write();
  Experiment nothing(2, "asgd", "2,3", in_virtual_time(4));
  EXPECT_EQ(replay(nothing, file_.path()).updates, 0U);
}

TEST_F(Replay, AnotherMethodIsRefusedAtTheFirstDifference) {
  // With sync, too, both workers have come by 3 and worker 0 comes again; but then it waits.
  EXPECT_EQ(refusal("sync"),
            at(5) + "the recording has an arrival of worker 0, which in this run computes nothing");
}

TEST_F(Replay, EditedLinesAreRefused) {
  edit(4, "\"job\":1", "\"job\":2");
  EXPECT_EQ(refusal(),
            at(4) + "the recording has job 2 of worker 0 at version 1, this run job 1 at version 1");
}

TEST_F(Replay, EditedVersionsAreRefused) {
  edit(4, "\"version\":1", "\"version\":2");
  EXPECT_EQ(refusal(),
            at(4) + "the recording has job 1 of worker 0 at version 2, this run job 1 at version 1");
}

TEST_F(Replay, EditedWorkersAreRefused) {
  edit(3, "\"worker\":1", "\"worker\":2");
  EXPECT_EQ(refusal(), at(3) + "worker 2, but this run has 2");
}

TEST_F(Replay, WorkersBelowZeroAreRefused) {
  edit(3, "\"worker\":1", "\"worker\":-1");
  EXPECT_EQ(refusal(), at(3) + "worker -1, but this run has 2");
}

TEST_F(Replay, ARunOfFewerWorkersIsRefused) {
  EXPECT_EQ(refusal("asgd", 1), at(3) + "worker 1, but this run has 1");
}

TEST_F(Replay, TheEndOfAJobThatWasNotDiscardedIsRefused) {
  lines_[2] = R"({"event":"discarded","worker":1,"time":3})";
  write();
  EXPECT_EQ(refusal(), at(3) +
                           "the recording has the end of a discarded job of worker 1, which in this run "
                           "computes a job");
}

TEST_F(Replay, LossesAndReturnsThatDoNotFitAreRefused) {
  const std::string record = R"(","worker":1,"time":3,"reason":"so"})";
  lines_[2] = R"({"event":"back)" + record;
  write();
  EXPECT_EQ(refusal(), at(3) + "the recording has back worker 1, which in this run is not lost");
  lines_[2] = lines_[3] = R"({"event":"lost)" + record;
  write();
  EXPECT_EQ(refusal(), at(4) + "the recording loses worker 1, which in this run is lost already");
  lines_[3] = R"({"event":"arrival","worker":1,"job":0,"version":0,"time":3,"compute_time":3})";
  write();
  EXPECT_EQ(refusal(),
            at(4) + "the recording has an arrival of worker 1, which in this run computes nothing");
}

TEST_F(Replay, LinesThatAreNoneAreNamed) {
  for (const char* line :
       {"{", "", "5", "[]", R"({"event":"update","worker":0,"time":1})", R"({"event":"arrival","worker":0})",
        R"({"event":"lost","worker":0,"time":1})", R"({"event":"arrival","worker":"0"})",
        R"({"event":"arrival","worker":0,"job":1,"version":1e300,"time":9,"compute_time":1})",
        R"({"event":"arrival","worker":0,"job":1,"version":1,"time":0.5,"compute_time":1})"}) {
    lines_[3] = line;
    write();
    EXPECT_EQ(refusal(), at(4) + "not a record written by --record") << line;
  }
}

TEST_F(Replay, FilesThatAreNoRecordingsAreNamed) {
  for (const char* text : {"", "hello\n", "[1]\n", R"({"event":"arrival"})", R"({"event":"run"})",
                           R"({"event":5,"clock":"wall"})"}) {
    file_.write(text);
    EXPECT_THAT(refusal(), AllOf(HasSubstr("--replay " + file_.path() + ": does not begin with a run record"),
                                 HasSubstr("expected a file written by --record")))
        << text;
  }
  try {
    const Recording absent(file_.path() + ".absent");
    FAIL() << "accepted";
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), HasSubstr(".absent: cannot be read"));
  }
}

/// Reads it to its end.
bool is_cut_off(const std::string& file) {
  Recording recording(file);
  while (recording.next()) {
  }
  return recording.is_cut_off();
}

TEST_F(Replay, OnlyTheEndRecordIsTheEnd) {
  EXPECT_FALSE(is_cut_off(file_.path()));
  lines_.pop_back();
  write();
  EXPECT_TRUE(is_cut_off(file_.path()));
}

TEST_F(Replay, CheckpointsAreNoArrivals) {
  lines_.insert(lines_.begin() + 2,
                R"({"event":"checkpoint","name":"u1","update":1,"gradients":1,"time":2})");
  write();
  EXPECT_EQ(refusal(), "accepted");
}

/// Tells a recorder what a run of asgd would, from one arrival to another.
void tell_arrivals(RunObserver& observer, std::uint64_t first, std::uint64_t last) {
  for (std::uint64_t job = first; job <= last; ++job) {
    observer.on_arrival({.worker = 0, .job = job, .version = job, .time = double(job), .compute_time = 1});
  }
}

// Killed behind the checkpoint and gone on with, it is the recording of the run that was not.
TEST(RunRecorder, GoesOnBehindItsCheckpoint) {
  constexpr const char* run = R"({"clock":"virtual","method":"asgd","workers":1})";
  const CheckpointRecord checkpoint{"update-3", 3, 3, 2};
  const TemporaryFile whole;
  {
    RunRecorder recorder(whole.path(), run);
    tell_arrivals(recorder, 0, 2);
    recorder.on_checkpoint(checkpoint);
    tell_arrivals(recorder, 3, 5);
    recorder.on_summary({});
  }
  const std::string text = testing::read_file(whole.path());
  const std::size_t behind = text.find('\n', text.find("checkpoint")) + 1;
  for (const std::size_t bytes : {text.size(), text.size() - 5, behind + 7, behind}) {
    const TemporaryFile killed(text.substr(0, bytes));
    {
      RunRecorder recorder(killed.path(), run, checkpoint);
      tell_arrivals(recorder, 3, 5);
      recorder.on_summary({});
    }
    EXPECT_EQ(testing::read_file(killed.path()), text);
  }
}

TEST(RunRecorder, WhatIsNotItsRecordingIsLeftAlone) {
  constexpr const char* run = R"({"clock":"virtual","method":"asgd","workers":1})";
  const CheckpointRecord checkpoint{"update-3", 3, 3, 2};
  const std::string line = R"({"event":"checkpoint","name":"update-3"})"
                           "\n";
  for (const std::string& text : {std::string(), std::string("hello\n"),
                                  R"({"event":"run","method":"asgd","workers":1})"
                                  "\n" +
                                      line.substr(0, 30),
                                  R"({"event":"run","method":"asgd","workers":2})"
                                  "\n" +
                                      line,
                                  R"({"event":"run","method":"sync","workers":1})"
                                  "\n" +
                                      line}) {
    const TemporaryFile file(text);
    ::testing::internal::CaptureStderr();
    {
      RunRecorder recorder(file.path(), run, checkpoint);
      tell_arrivals(recorder, 3, 5);
      recorder.on_checkpoint({"update-6", 6, 6, 5});
      recorder.on_summary({});
    }
    EXPECT_EQ(testing::without_times(::testing::internal::GetCapturedStderr()),
              "tardigrad: --record " + file.path() +
                  ": is no recording of this run up to checkpoint update-3; nothing is recorded\n");
    EXPECT_EQ(testing::read_file(file.path()), text);
  }
}

TEST(RunRecorder, StopsAtTheFirstHole) {
  ::testing::internal::CaptureStderr();
  RunRecorder recorder("/dev/full", R"({"clock":"virtual"})", {}, {.waiting_bytes = 10'000});
  tell_arrivals(recorder, 0, 1000);
  recorder.on_summary({});
  EXPECT_EQ(testing::without_times(::testing::internal::GetCapturedStderr()),
            "tardigrad: --record /dev/full: cannot be written: No space left on device; the run goes on, and "
            "tries again\n"
            "tardigrad: --record /dev/full: the recording ends here: more than what waits to be written is "
            "not kept\n");
}

TEST(RunRecorder, AFileThatCannotBeWrittenIsNamed) {
  try {
    const RunRecorder recorder("/nowhere/recording.jsonl", "{}");
    FAIL() << "accepted";
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), HasSubstr("--record /nowhere/recording.jsonl: cannot be written"));
  }
}

}  // namespace
}  // namespace tardigrad
