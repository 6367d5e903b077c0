// What repeating a recording must give: the same bits.

#include "runtime/events/replayed_events.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

#include "tests/support/experiment.h"
#include "tests/support/gate.h"
#include "tests/support/recorded_runs.h"
#include "tests/support/stops_behind_a_loss.h"
#include "tests/support/temporary_file.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;
using ::testing::HasSubstr;

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
  for (RunOptions options : {in_wall_time(100), in_virtual_time(100)}) {  // in no less than 32 units
    options.time_unit_s = 1e-3;
    const TemporaryFile file;
    MethodExperiment original(3, "asgd", "1,1.5,0.7", options, 2);
    original.speeds = EventScript::read(script.path(), 3);
    record(original, file.path());
    ASSERT_EQ(original.recorder.changes.size(), 3U);
    expect_repeatable(original, file.path());
  }
}

TEST(Recording, HasTheLossOfAWorkerThatThrows) {
  const TemporaryFile file;
  MethodExperiment original(3, "asgd", "measured", in_wall_time(1U << 30), 2);
  original.objective.in_gradient = [](int worker, std::uint64_t job) {
    if (worker == 2 && job == 2) throw std::runtime_error("bad \"luck\"");
  };
  RunRecorder recorder(file.path(), run_json(original.options));
  StopsBehindALoss stops;
  original.observers = {&recorder, &stops};
  original.go(stops.stop.get_token());
  EXPECT_EQ(original.recorder.changes.size(), 1U);
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
  MethodExperiment original(3, "asgd", "measured", in_wall_time(1U << 30), 2);
  original.options.worker_timeout_s = 0.25;  // longer than a machine stalls
  Rescuer rescuer;
  original.objective.in_gradient = [&](int worker, std::uint64_t job) {
    if (worker == 1 && job == 2) rescuer.gate.pass()();
  };
  RunRecorder recorder(file.path(), run_json(original.options));
  original.observers = {&recorder, &rescuer};
  EXPECT_EQ(original.go(rescuer.enough.get_token()).stop_reason, StopReason::interrupted);
  EXPECT_GE(original.recorder.changes.size(), 2U);
  expect_repeatable(original, file.path());
}

}  // namespace
}  // namespace tardigrad
