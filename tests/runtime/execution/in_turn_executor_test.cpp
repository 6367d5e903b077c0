// Workers that make the updates by themselves: on every backend, a run is what the order of its arrivals
// says, and ends and is evaluated where it was to be.

#include "runtime/execution/streams/in_turn_executor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "runtime/coordinator/run_errors.h"
#include "runtime/server/shard.h"
#include "tests/runtime/device/backends.h"
#include "tests/support/chain_run.h"
#include "tests/support/recorded_runs.h"
#include "tests/support/temporary_file.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

RunOptions in_turn(std::uint64_t updates) {
  RunOptions options = in_wall_time(updates);
  options.hand_over_on_device = true;
  return options;
}

std::vector<std::string> methods_that_foresee() {
  std::vector<std::string> names = method_names();
  std::erase_if(names, [](const std::string& name) { return !has_feature(name, Feature::each_arrival); });
  return names;
}

struct InTurnRun : ChainRun {
  InTurnRun(Backend backend, const std::string& name, const RunOptions& run_options,
            const std::string& compute_time = "measured")
      : ChainRun(backend, name, run_options, compute_time) {
    devices = parse_devices(backend == Backend::cpu ? "cpu:2" : "cuda:0");
  }
};

/// Ends a run with its so many-th evaluation.
class StopsAfterEvaluations final : public RunObserver {
 public:
  StopsAfterEvaluations(ChainRun& run, int evaluations) : run_(run), left_(evaluations) {}
  void on_evaluation(const EvaluationRecord&) override {
    if (--left_ == 0) run_.enough.request_stop();
  }

 private:
  ChainRun& run_;
  int left_;
};

/// A run, and its recording run again with the host in between: with the same model, and returned.
InTurnRun repeated(InTurnRun& run, const TemporaryFile& file) {
  {
    RunRecorder recorder(file.path(), run_json(run.options));
    run.go(&recorder);
  }
  RunOptions options = run.options;
  options.hand_over_on_device = false;
  InTurnRun again(run.devices.front().backend, run.method_name, options);
  Recording recording(file.path());
  again.go(nullptr, &recording);
  EXPECT_EQ(again.model, run.model);
  return again;
}

/// Where evaluations are due by the number of updates, those are the same, too.
void expect_what_the_order_says(InTurnRun& run, const TemporaryFile& file) {
  const InTurnRun again = repeated(run, file);
  ASSERT_EQ(again.recorder.evaluations.size(), run.recorder.evaluations.size());
  for (std::size_t i = 0; i < run.recorder.evaluations.size(); ++i) {
    const EvaluationRecord& evaluation = run.recorder.evaluations[i];
    EXPECT_EQ(again.recorder.evaluations[i].update, evaluation.update);
    EXPECT_EQ(again.recorder.evaluations[i].evaluation.loss, evaluation.evaluation.loss);
    EXPECT_EQ(again.recorder.evaluations[i].train_loss, evaluation.train_loss);
  }
  for (std::size_t i = 0; i < run.recorder.updates.size(); ++i) {
    EXPECT_EQ(again.recorder.updates.at(i).staleness, run.recorder.updates[i].staleness);
  }
}

class InTurn : public ::testing::TestWithParam<std::tuple<Backend, std::string>> {
 protected:
  void SetUp() override {
    if (backend() == Backend::cuda && cuda_device_count() == 0) GTEST_SKIP() << "no GPU: " << why_no_cuda();
  }
  static Backend backend() { return std::get<0>(GetParam()); }
  static const std::string& method() { return std::get<1>(GetParam()); }
};

TEST_P(InTurn, ARunIsWhatTheOrderOfItsArrivalsSays) {
  const TemporaryFile file;
  for (int repeat = 0; repeat < 10; ++repeat) {
    RunOptions options = in_turn(60);
    options.completions = repeat % 2 == 0 ? Completions::polling : Completions::callback;
    InTurnRun run(backend(), method(), options);
    ASSERT_NO_FATAL_FAILURE(expect_what_the_order_says(run, file)) << "in repeat " << repeat;
    EXPECT_EQ(run.recorder.summary.updates, 60U);
  }
}

TEST_P(InTurn, EvaluationsAreOfTheUpdatesThatTheyAreDueAt) {
  const TemporaryFile file;
  RunOptions options = in_turn(80);
  options.evaluate_every_updates = 7;
  InTurnRun run(backend(), method(), options);
  ASSERT_NO_FATAL_FAILURE(expect_what_the_order_says(run, file));
  std::vector<std::uint64_t> updates;
  for (const EvaluationRecord& evaluation : run.recorder.evaluations) updates.push_back(evaluation.update);
  EXPECT_THAT(updates, ::testing::ElementsAre(0, 7, 14, 21, 28, 35, 42, 49, 56, 63, 70, 77, 80));
}

/// The models of evaluations, and none that came while one was made.
TEST_P(InTurn, ATargetEndsARunWhereItIsReached) {
  const TemporaryFile file;
  RunOptions options = in_turn(1U << 30);
  options.evaluate_every_updates = 5;
  options.target_loss = 0.7;
  for (int repeat = 0; repeat < 5; ++repeat) {
    InTurnRun run(backend(), method(), options);
    ASSERT_NO_FATAL_FAILURE(expect_what_the_order_says(run, file));
    EXPECT_EQ(run.recorder.summary.stop_reason, StopReason::target_loss);
    EXPECT_EQ(run.recorder.summary.updates, run.recorder.evaluations.back().update);
    EXPECT_EQ(run.recorder.summary.updates % 5, 0U);
  }
}

/// By the host, which has everybody wait for it.
TEST_P(InTurn, ModelsAreKeptMeanwhile) {
  const TemporaryFile file;
  RunOptions options = in_turn(60);
  options.keep_model_every = 7;
  options.evaluate_every_updates = 20;
  InTurnRun run(backend(), method(), options);
  ASSERT_NO_FATAL_FAILURE(expect_what_the_order_says(run, file));
}

TEST_P(InTurn, EvaluationsByTimeAreOfWhatHadArrived) {
  const TemporaryFile file;
  RunOptions options = in_turn(1U << 30);
  options.evaluate_every_time = 0.01;
  InTurnRun run(backend(), method(), options);
  StopsAfterEvaluations stops(run, 5);
  run.observers = {&stops};
  repeated(run, file);
}

TEST_P(InTurn, TimeEndsARunWithWhatHadArrived) {
  const TemporaryFile file;
  RunOptions options = in_turn(1U << 30);
  options.time_limit = 0.05;
  InTurnRun run(backend(), method(), options);
  repeated(run, file);
  EXPECT_EQ(run.recorder.summary.stop_reason, StopReason::time_limit);
}

/// Jobs that are enqueued ahead are thrown away at each evaluation, and none is the shorter for it.
TEST_P(InTurn, AThrottledWorkerTakesItsTime) {
  RunOptions options = in_turn(1U << 20);
  options.time_unit_s = 2e-3;
  options.evaluate_every_updates = 11;
  InTurnRun run(backend(), method(), options, "1,1,1,1,1,8");
  StopsAfterArrivals stops(run, 5, 3);
  const RunSummary summary = run.go(&stops);
  for (const JobRecord& arrival : run.recorder.arrivals) {
    const double jobs = static_cast<double>(arrival.job + 1);
    EXPECT_GE(arrival.time, jobs * (arrival.worker == 5 ? 16e-3 : 2e-3));
  }
  EXPECT_GE(summary.workers[5].jobs, 3U);
}

TEST_P(InTurn, GradientsEndARunWhereTheyAreTo) {
  RunOptions options = in_turn(1U << 30);
  options.max_gradients = 33;
  InTurnRun run(backend(), method(), options);
  EXPECT_EQ(run.go().gradients, 33U);
}

/// Hours of them.
TEST_P(InTurn, TheEndOfARunWaitsForNoThrottle) {
  RunOptions options = in_turn(100);
  InTurnRun run(backend(), "asgd", options, "1e-4,1e-4,1e-4,1e-4,1e-4,1e5");
  EXPECT_EQ(run.go().updates, 100U);
}

INSTANTIATE_TEST_SUITE_P(Backends, InTurn,
                         ::testing::Combine(::testing::Values(Backend::cpu, Backend::cuda),
                                            ::testing::ValuesIn(methods_that_foresee())),
                         [](const auto& tested) {
                           return ::testing::PrintToString(std::get<0>(tested.param)) + "_" +
                                  std::get<1>(tested.param);
                         });

TEST(InTurnExecutor, KeepsWhatEachMethodPromises) {
  for (const std::string& method : methods_that_foresee()) {
    Experiment run(4, method, "measured", in_turn(200));
    run.options.lr = 0.1;
    run.options.evaluate_every_updates = 50;
    run.verify = true;
    EXPECT_EQ(run.go().updates, 200U) << method;
  }
}

TEST(InTurnExecutor, AWorkerThatFailsEndsTheRun) {
  for (const Completions completions : {Completions::polling, Completions::callback}) {
    Experiment run(3, "asgd", "measured", in_turn(1U << 30));
    run.options.lr = 0.01;
    run.options.completions = completions;
    run.objective.in_gradient = [](int worker, std::uint64_t job) {
      if (worker == 1 && job == 20) throw std::runtime_error("no more");
    };
    EXPECT_THAT([&] { run.go(); }, ThrowsMessage<DeviceLostError>(HasSubstr("no more")));
  }
}

/// Says that each arrival makes a step, and makes two of the third.
class Mistaken final : public Method {
 public:
  ServerMemory memory() const override { return {}; }
  void start(Actions& actions) override { hand_over_to_all(2, actions); }
  std::optional<EachArrival> each_arrival() const override { return EachArrival{}; }
  void arrive(const Arrival& arrival, Actions& actions) override {
    actions.emplace_back(Step{++arrivals_ == 3 ? 2.0 : 1.0});
    actions.emplace_back(HandOver{arrival.worker});
  }

 private:
  int arrivals_ = 0;
};

TEST(InTurnExecutor, WhatWasNotForeseenIsAnError) {
  Pull objective(2);
  Mistaken method;
  const Delays delays = Delays::parse("measured", 2, 0);
  const EventScript speeds;
  RunOptions options = in_turn(10);
  Coordinator coordinator(objective, method,
                          make_execution(objective, method.memory(), delays, speeds, Devices(), options),
                          options, {});
  std::vector<float> model(Pull::dimension);
  EXPECT_THAT([&] { coordinator.run(model, {}); },
              ThrowsMessage<std::logic_error>(HasSubstr("does not lead to what was foreseen")));
}

TEST(InTurnExecutor, RefusesServersThatItCannotHave) {
  Chain objective(2, 3 * shard_block);
  const Delays delays = Delays::parse("measured", 2, 0);
  const EventScript speeds;
  const auto made = [&](const Devices& devices, const ServerOptions& server) {
    return [&, devices, server] {
      RunOptions options = in_turn(10);
      options.server = server;
      make_execution(objective, {.tables = 1, .mean = true}, delays, speeds, devices, options);
    };
  };
  EXPECT_THAT(made(Devices(), {.resum_every = 5}), ThrowsMessage<std::logic_error>(HasSubstr("no resums")));
  Devices shards;
  shards.server_shards = 2;
  EXPECT_THAT(made(shards, {}), ThrowsMessage<std::logic_error>(HasSubstr("a server on one device")));
  EXPECT_THAT(made(Devices(), {.momentum = 0.9}), ThrowsMessage<std::logic_error>(HasSubstr("plain steps")));
}

}  // namespace
}  // namespace tardigrad
