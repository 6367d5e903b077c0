// Recordings, and what repeating them must give: the same bits.

#include "runtime/events/recording.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <iterator>

#include "tests/support/experiment.h"
#include "tests/support/gate.h"
#include "tests/support/temporary_file.h"
#include "tests/support/without_times.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;
using ::testing::AllOf;
using ::testing::HasSubstr;

std::string run_json(const RunOptions& options) {
  return options.clock == ClockKind::wall ? R"({"clock":"wall"})" : R"({"clock":"virtual"})";
}

/// Runs and records.
RunSummary record(Experiment& run, const std::string& file) {
  RunRecorder recorder(file, run_json(run.options));
  run.observers = {&recorder};
  return run.go();
}

/// Does again what was recorded.
RunSummary replay(Experiment& run, const std::string& file) {
  Recording recording(file);
  run.replay = &recording;
  return run.go();
}

class EveryRecordedMethod : public ::testing::TestWithParam<std::string> {
 protected:
  /// On any number of devices, which don't say what a replay runs on.
  void expect_the_same_again(const std::string& compute_time, const RunOptions& options) const {
    MethodExperiment original(5, GetParam(), compute_time, options, 3);
    const RunSummary summary = record(original, file_.path());
    for (const int devices : {1, 3}) {
      SCOPED_TRACE(std::to_string(devices) + " devices");
      MethodExperiment again(5, GetParam(), compute_time, options, devices);
      const RunSummary repeated = replay(again, file_.path());
      EXPECT_EQ(again.model, original.model);
      EXPECT_EQ(again.sequence(), original.sequence());
      EXPECT_EQ(repeated.updates, summary.updates);
      EXPECT_EQ(repeated.gradients, summary.gradients);
      EXPECT_EQ(repeated.final_evaluation.loss, summary.final_evaluation.loss);
      expect_same_records(again.recorder, original.recorder);
      for (std::size_t worker = 0; worker < 5; ++worker) {
        EXPECT_EQ(repeated.workers[worker].discarded_jobs, summary.workers[worker].discarded_jobs);
        EXPECT_EQ(repeated.workers[worker].jobs, summary.workers[worker].jobs);
      }
    }
  }

  TemporaryFile file_;

 private:
  static void expect_same_records(const Recorder& again, const Recorder& original) {
    ASSERT_EQ(again.updates.size(), original.updates.size());
    for (std::size_t k = 0; k < again.updates.size(); ++k) {
      ASSERT_EQ(again.updates[k].loss, original.updates[k].loss);
      ASSERT_EQ(again.updates[k].lr, original.updates[k].lr);
      ASSERT_EQ(again.updates[k].gradients, original.updates[k].gradients);
    }
    ASSERT_EQ(again.arrivals.size(), original.arrivals.size());
    for (std::size_t i = 0; i < again.arrivals.size(); ++i) {
      ASSERT_EQ(again.arrivals[i].job, original.arrivals[i].job);
      ASSERT_EQ(again.arrivals[i].compute_time, original.arrivals[i].compute_time);
    }
  }
};

TEST_P(EveryRecordedMethod, GivesTheSameBitsAgainAfterVirtualTime) {
  expect_the_same_again("lognormal:0:1+halfnormal", in_virtual_time(150));
}

// With real threads, on five streams of three CPU devices.
TEST_P(EveryRecordedMethod, GivesTheSameBitsAgainAfterWallTime) {
  RunOptions options = in_wall_time(200);
  options.server.momentum = 0.5;
  expect_the_same_again("measured", options);
}

// What depends on the time of a step must take the recorded one.
TEST_P(EveryRecordedMethod, GivesTheSameBitsAgainWithAScheduleOverTime) {
  RunOptions options = in_wall_time(1000000);
  options.time_limit = 10e-3;
  options.lr_schedule = "cosine";
  expect_the_same_again("measured", options);
}

INSTANTIATE_TEST_SUITE_P(Methods, EveryRecordedMethod, ::testing::ValuesIn(method_names()), method_title);

/// Opens a gate after 60 arrivals, and ends the run 20 after a discarded job has ended.
class Director final : public RunObserver {
 public:
  void on_arrival(const JobRecord&) override {
    if (++arrivals_ == 60) gate.open();
    if (arrivals_ == last_) enough.request_stop();
  }
  void on_discarded_over(int worker, double) override {
    if (worker == 0 && last_ == 0) last_ = arrivals_ + 20;
  }
  Gate gate;
  std::stop_source enough;

 private:
  int arrivals_ = 0;
  int last_ = 0;
};

// Worker 0 stands in its second job, which is thrown away, until the others have sent 60 gradients.
TEST(Recording, HasTheEndsOfJobsThrownAwayInWallTime) {
  for (const char* method : {"malenia", "rennala", "ringmaster"}) {
    SCOPED_TRACE(method);
    const TemporaryFile file;
    MethodExperiment original(3, method, "measured", in_wall_time(1000000), 2);
    Director director;
    std::atomic<bool> standing = false;
    original.objective.in_gradient = [&](int worker, std::uint64_t job) {
      if (worker == 0 && job == 1) {
        standing = true;
        standing.notify_all();
        director.gate.pass()();
      }
      if (worker != 0 && job == 0) standing.wait(false);
    };
    RunRecorder recorder(file.path(), run_json(original.options));
    original.observers = {&recorder, &director};
    EXPECT_EQ(original.go(director.enough.get_token()).stop_reason, StopReason::interrupted);
    std::ifstream recorded(file.path());
    const std::string text(std::istreambuf_iterator<char>(recorded), {});
    EXPECT_THAT(text, HasSubstr(R"({"event":"discarded","worker":0,)"));
    MethodExperiment again(3, method, "measured", in_wall_time(1000000), 2);
    EXPECT_EQ(replay(again, file.path()).stop_reason, StopReason::recording_ended);
    EXPECT_EQ(again.model, original.model);
    EXPECT_EQ(again.sequence(), original.sequence());
  }
}

/// Losses and returns, told twice alike.
void expect_same_changes(const Recorder& again, const Recorder& original) {
  ASSERT_EQ(again.changes.size(), original.changes.size());
  for (std::size_t i = 0; i < again.changes.size(); ++i) {
    EXPECT_EQ(again.changes[i].worker, original.changes[i].worker);
    EXPECT_EQ(again.changes[i].lost, original.changes[i].lost);
    EXPECT_EQ(again.changes[i].update, original.changes[i].update);
    EXPECT_EQ(again.changes[i].time, original.changes[i].time);
    EXPECT_EQ(again.changes[i].reason, original.changes[i].reason);
  }
}

/// The run again, on one thread and on several.
void expect_repeatable(const Experiment& original, const std::string& file) {
  for (const int devices : {1, 3}) {
    MethodExperiment again(original.objective.workers(), original.method_name, "measured", original.options,
                           devices);
    replay(again, file);
    EXPECT_EQ(again.model, original.model);
    EXPECT_EQ(again.sequence(), original.sequence());
    expect_same_changes(again.recorder, original.recorder);
  }
}

TEST(Recording, HasTheLossesAndReturnsOfAScript) {
  const TemporaryFile script;
  script.write(
      "[[event]]\ntime = 5\nworker = 1\nstate = \"failed\"\n"
      "[[event]]\ntime = 10\nworker = 1\nstate = \"working\"\n"
      "[[event]]\ntime = 12\nworker = 0\nstate = \"failed\"\n");
  for (RunOptions options : {in_wall_time(1u << 30), in_virtual_time(1u << 30)}) {
    const bool wall = options.clock == ClockKind::wall;
    options.time_unit_s = 1e-3;
    options.time_limit = wall ? 0.2 : 20;  // long after the script, however slow the machine
    const TemporaryFile file;
    MethodExperiment original(3, "asgd", "1,1.5,0.7", options, 2);
    original.speeds = EventScript::read(script.path(), 3);
    record(original, file.path());
    ASSERT_EQ(original.recorder.changes.size(), 3u);
    expect_repeatable(original, file.path());
  }
}

TEST(Recording, HasTheLossOfAWorkerThatThrows) {
  const TemporaryFile file;
  MethodExperiment original(3, "asgd", "measured", in_wall_time(3000), 2);
  original.objective.in_gradient = [](int worker, std::uint64_t job) {
    if (worker == 2 && job == 2) throw std::runtime_error("bad \"luck\"");
  };
  record(original, file.path());
  expect_repeatable(original, file.path());
}

/// Opens a gate when a worker is lost, and ends the run 20 arrivals after it is back.
class Rescuer final : public RunObserver {
 public:
  void on_worker_change(const WorkerChange& change) override {
    if (change.lost) {
      gate.open();
    } else {
      last_ = arrivals_ + 20;
    }
  }
  void on_arrival(const JobRecord&) override {
    if (++arrivals_ == last_) enough.request_stop();
  }
  Gate gate;
  std::stop_source enough;

 private:
  int arrivals_ = 0;
  int last_ = 0;
};

TEST(Recording, HasTheLossAndReturnOfAWorkerThatHangs) {
  const TemporaryFile file;
  MethodExperiment original(3, "asgd", "measured", in_wall_time(1u << 30), 2);
  original.options.worker_timeout_s = 0.02;
  Rescuer rescuer;
  original.objective.in_gradient = [&](int worker, std::uint64_t job) {
    if (worker == 1 && job == 2) rescuer.gate.pass()();
  };
  RunRecorder recorder(file.path(), run_json(original.options));
  original.observers = {&recorder, &rescuer};
  EXPECT_EQ(original.go(rescuer.enough.get_token()).stop_reason, StopReason::interrupted);
  EXPECT_GE(original.recorder.changes.size(), 2u);
  expect_repeatable(original, file.path());
}

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
  ASSERT_EQ(lines_.size(), 6u);
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
  EXPECT_EQ(summary.updates, 4u);
  EXPECT_EQ(without.model[0], 0.25f);
  options.time_limit = 3.5;
  Experiment timed(2, "asgd", "2,3", options);
  const RunSummary by_time = replay(timed, file_.path());
  EXPECT_EQ(by_time.stop_reason, StopReason::time_limit);
  EXPECT_EQ(by_time.updates, 2u);
  EXPECT_EQ(by_time.time, 3.5);
}

TEST_F(Replay, AFileCutOffEndsTheRunThere) {
  lines_.resize(3);
  write();
  Experiment run(2, "asgd", "2,3", in_virtual_time(4));
  const RunSummary summary = replay(run, file_.path());
  EXPECT_EQ(summary.stop_reason, StopReason::recording_ended);
  EXPECT_EQ(summary.updates, 2u);
  file_.write(lines_[0] + "\n" + lines_[1] + "\n" + lines_[2].substr(0, 20));
  Experiment half(2, "asgd", "2,3", in_virtual_time(4));
  EXPECT_EQ(replay(half, file_.path()).updates, 1u);
  lines_.resize(1);
  write();
  Experiment nothing(2, "asgd", "2,3", in_virtual_time(4));
  EXPECT_EQ(replay(nothing, file_.path()).updates, 0u);
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
