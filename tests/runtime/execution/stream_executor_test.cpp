// Runs on the streams of every backend: workers beside each other, throttles, all GPUs there are.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/events/recording.h"
#include "runtime/execution/streams/wall_stream_executor.h"
#include "tests/runtime/device/backends.h"
#include "tests/support/chain_run.h"
#include "tests/support/temporary_file.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;

class StreamExecutorContract : public BackendTest {};

bool is_emulated(Device device) {
  for (const DeviceDescription& described : describe_devices()) {
    if (described.device == device) return described.model.find("mulated") != std::string::npos;
  }
  return false;
}

/// A run in wall time, and its recording run again, a thousand times on a GPU (fewer where it is slow): the
/// order of the arrivals is all that its bits depend on.
TEST_P(StreamExecutorContract, ConcurrentWorkersGiveWhatTheirOrderSays) {
  const int repeats = GetParam() == Backend::cpu || is_emulated(device()) ? 40 : 1000;
  const TemporaryFile file;
  for (int repeat = 0; repeat < repeats; ++repeat) {
    RunOptions options = in_wall_time(40);
    options.completions = repeat % 2 == 0 ? Completions::polling : Completions::callback;
    ChainRun original(GetParam(), repeat % 4 < 2 ? "dude" : "ringleader", options);
    {
      RunRecorder recorder(file.path(), R"({"clock":"wall"})");
      original.go(&recorder);
    }
    ChainRun again(GetParam(), original.method_name, options);
    Recording recording(file.path());
    again.go(nullptr, &recording);
    ASSERT_EQ(again.model, original.model) << "in repeat " << repeat;
  }
}

TEST_P(StreamExecutorContract, VirtualTimeGivesTheSameBitsTwice) {
  ChainRun first(GetParam(), "dude", in_virtual_time(300), "linear:1:1+halfnormal");
  ChainRun second(GetParam(), "dude", in_virtual_time(300), "linear:1:1+halfnormal");
  first.go();
  second.go();
  EXPECT_EQ(first.model, second.model);
}

TEST_P(StreamExecutorContract, VirtualTimeIsThatOfTheCpu) {
  ChainRun tested(GetParam(), "dude", in_virtual_time(300), "linear:1:1+halfnormal");
  ChainRun cpu(Backend::cpu, "dude", in_virtual_time(300), "linear:1:1+halfnormal");
  tested.go();
  cpu.go();
  // 300 steps of multiply-adds, each rounded once on either side; the sums of a kernel have one order.
  EXPECT_THAT(tested.model, ::testing::Pointwise(::testing::FloatNear(1e-5F), cpu.model));
}

TEST_P(StreamExecutorContract, AThrottledWorkerTakesItsTime) {
  RunOptions options = in_wall_time(1U << 20);
  options.time_unit_s = 2e-3;
  ChainRun run(GetParam(), "dude", options, "1,1,1,1,1,8");
  StopsAfterArrivals stops(run, 0, 20);
  const RunSummary summary = run.go(&stops);
  for (const JobRecord& arrival : run.recorder.arrivals) {
    EXPECT_GE(arrival.compute_time, arrival.worker == 5 ? 16e-3 : 2e-3);
  }
  EXPECT_GE(summary.workers[0].jobs, summary.workers[5].jobs);
}

TEST_P(StreamExecutorContract, AThrottleOfMeasuredJobsMultipliesWhatTheyTake) {
  ChainRun run(GetParam(), "dude", in_wall_time(1U << 30));
  run.speeds.throttle("2=1000x", ChainRun::workers);
  StopsAfterArrivals stops(run, 1, 50);
  const RunSummary summary = run.go(&stops);
  EXPECT_LT(summary.workers[2].jobs, summary.workers[1].jobs);
}

// Its job, stretched to hours, is cut short.
TEST_P(StreamExecutorContract, AWorkerThatFailsHoldsNobodyUp) {
  const TemporaryFile file;
  for (const Completions completions : {Completions::polling, Completions::callback}) {
    RunOptions options = in_wall_time(500);
    options.completions = completions;
    ChainRun run(GetParam(), "asgd", options, "1,1,1,1e9,1,1");
    run.options.time_unit_s = 1e-4;
    run.speeds = EventScript::read(file.write("[[event]]\ntime = 20\nworker = 3\nstate = \"failed\"\n"),
                                   ChainRun::workers);
    const RunSummary summary = run.go();
    EXPECT_EQ(summary.updates, 500U);  // and the end does not wait for it
    EXPECT_EQ(summary.workers[3].discarded_jobs, 1U);
  }
}

TEST_P(StreamExecutorContract, AWorkerThatFailsAndComesBackGoesOn) {
  const TemporaryFile file;
  const std::string events =
      "[[event]]\ntime = 20\nworker = 3\nstate = \"failed\"\n"
      "[[event]]\ntime = 40\nworker = 3\nstate = \"working\"\n";
  for (const Completions completions : {Completions::polling, Completions::callback}) {
    RunOptions options = in_wall_time(400);  // of six workers: in no less than 66 units
    options.completions = completions;
    options.time_unit_s = 1e-3;
    ChainRun run(GetParam(), "asgd", options, "1,1,1,1,1,1");
    run.speeds = EventScript::read(file.write(events), ChainRun::workers);
    run.go();
    ASSERT_EQ(run.recorder.changes.size(), 2U);
    EXPECT_EQ(run.recorder.changes[0].time, 20e-3);
    EXPECT_EQ(run.recorder.changes[1].time, 40e-3);
  }
}

TEST_P(StreamExecutorContract, InVirtualTimeAWorkerFailsAndComesBackToo) {
  const TemporaryFile file;
  const std::string events =
      "[[event]]\ntime = 20\nworker = 3\nstate = \"failed\"\n"
      "[[event]]\ntime = 40\nworker = 3\nstate = \"working\"\n";
  ChainRun tested(GetParam(), "asgd", in_virtual_time(300), "linear:1:1+halfnormal");
  ChainRun cpu(Backend::cpu, "asgd", in_virtual_time(300), "linear:1:1+halfnormal");
  tested.speeds = cpu.speeds = EventScript::read(file.write(events), ChainRun::workers);
  tested.go();
  cpu.go();
  EXPECT_EQ(tested.recorder.changes.size(), 2U);
  EXPECT_THAT(tested.model, ::testing::Pointwise(::testing::FloatNear(1e-5F), cpu.model));
}

// A job thrown away in its throttle ends at once.
TEST_P(StreamExecutorContract, JobsThrownAwayEndTheirThrottle) {
  RunOptions options = in_wall_time(60);
  options.time_unit_s = 1e-3;
  ChainRun run(GetParam(), "ringmaster", options, "1,1,1,1,1,1000000");
  const RunSummary summary = run.go();
  EXPECT_EQ(summary.updates, 60U);
  EXPECT_GE(summary.workers[5].discarded_jobs, 1U);
}

INSTANTIATE_TEST_SUITE_P(Backends, StreamExecutorContract, every_backend(), backend_name);

}  // namespace
}  // namespace tardigrad
