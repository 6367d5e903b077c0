// All methods through the coordinator in virtual time: bits that depend on nothing but the seed, and what
// single methods and options make of a run.

#include <gtest/gtest.h>

#include "tests/support/experiment.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;

class MethodInVirtualTime : public ::testing::TestWithParam<std::string> {
 protected:
  /// The final model, and all that is recorded of its making, on so many devices.
  static void expect_the_same_on_any_number_of_devices(const std::string& compute_time,
                                                       const RunOptions& options) {
    MethodExperiment one(7, GetParam(), compute_time, options, 1);
    const RunSummary summary = one.go();
    EXPECT_EQ(summary.updates, options.max_updates);
    for (const int devices : {2, 7}) {
      SCOPED_TRACE(std::to_string(devices) + " devices");
      MethodExperiment many(7, GetParam(), compute_time, options, devices);
      EXPECT_EQ(many.go().discarded_share, summary.discarded_share);
      EXPECT_EQ(many.model, one.model);
      EXPECT_EQ(many.sequence(), one.sequence());
      ASSERT_EQ(many.recorder.updates.size(), one.recorder.updates.size());
      for (std::size_t k = 0; k < one.recorder.updates.size(); ++k) {
        EXPECT_EQ(many.recorder.updates[k].loss, one.recorder.updates[k].loss);
      }
    }
  }
};

// Dyadic numbers run out of bits after a while; equality to the bit must hold all the same.
TEST_P(MethodInVirtualTime, GivesTheSameBitsOnAnyNumberOfDevices) {
  expect_the_same_on_any_number_of_devices("1,1.5,2,3,5,8,0.3", in_virtual_time(300));
}

TEST_P(MethodInVirtualTime, GivesTheSameBitsUnderRandomDelaysAndWithAllOfTheServersOptions) {
  RunOptions options = in_virtual_time(300);
  options.server.momentum = 0.5;
  options.server.weight_decay = 0.01;
  options.server.clip_norm = 2;
  if (make_method(GetParam(), {.workers = 7})->memory().tables > 0) {
    options.server.table_type = TableType::bf16;
    options.server.resum_every = 7;
  }
  options.lr_schedule = "cosine";
  expect_the_same_on_any_number_of_devices("lognormal:0:1+halfnormal", options);
}

INSTANTIATE_TEST_SUITE_P(Methods, MethodInVirtualTime, ::testing::ValuesIn(method_names()), method_title);

// 4 → 2 → 1 → ½ locally, so g = (4 − ½)/½ = 7 and x = 4 − ¼·7; then 2¼ → 9/8 → 9/16 → 9/32, g = 63/16.
TEST(Coordinator, FedbuffTakesLocalSteps) {
  for (const ClockKind clock : {ClockKind::virtual_time, ClockKind::wall}) {
    RunOptions options = in_virtual_time(2);
    options.clock = clock;
    options.lr = 0.25;
    options.job = {.local_steps = 3, .local_lr = 0.5};
    Experiment run(1, "fedbuff", clock == ClockKind::wall ? "measured" : "1", options);
    run.method_options.gather = 1;
    run.model[0] = 4;
    run.go();
    EXPECT_EQ(run.model[0], 2.25F - 0.25F * 63 / 16);
    EXPECT_EQ(run.recorder.updates[0].loss, 8);
    EXPECT_EQ(run.recorder.updates[1].loss, 2.25F * 2.25F / 2);
  }
}

std::vector<double> step_sizes(const Experiment& run) {
  std::vector<double> sizes;
  for (const UpdateRecord& update : run.recorder.updates) sizes.push_back(update.lr);
  return sizes;
}

TEST(Coordinator, StepsFollowTheSchedule) {
  RunOptions options = in_virtual_time(6);
  options.lr_schedule = "step:2:0.5";
  Experiment run(2, "asgd", "2,3", options);
  run.go();
  EXPECT_EQ(step_sizes(run), (std::vector<double>{0.5, 0.5, 0.25, 0.25, 0.125, 0.125}));
  // x: 0 →(g = 0) 0 →(g = −1 at x⁰, ½) ½ →(g = 0 at x¹) ½ →(g = ½ at x³, ¼) 3/8 →(t = 6, g = −½ at x², ⅛) …
  EXPECT_EQ(run.model[0], 0.375F + 0.125F * 0.5F - 0.125F * 0.375F);
}

TEST(Coordinator, ACosineFollowsWhicheverLimitIsNearest) {
  const auto expect_halves = [](const RunOptions& options, const std::vector<double>& shares) {
    Experiment run(1, "asgd", "1", options);
    run.go();
    ASSERT_EQ(run.recorder.updates.size(), shares.size());
    for (std::size_t k = 0; k < shares.size(); ++k) {
      // cos is good to the last place or so.
      EXPECT_NEAR(run.recorder.updates[k].lr, 0.5 * shares[k], 1e-15) << k;
    }
  };
  const double root = std::sqrt(0.5);
  RunOptions options = in_virtual_time(4);
  options.lr_schedule = "cosine";
  // A step from version k, at time k + 1 and gradient k + 1. By updates:
  expect_halves(options, {1, (1 + root) / 2, 0.5, (1 - root) / 2});
  options.max_updates = 1000;
  options.max_gradients = 4;
  expect_halves(options, {(1 + root) / 2, 0.5, (1 - root) / 2, 0});
  options.max_gradients = 1000;
  options.time_limit = 4;
  expect_halves(options, {(1 + root) / 2, 0.5, (1 - root) / 2, 0});
  options.max_updates = 2;
  expect_halves(options, {(1 + root) / 2, 0.5});
}

TEST(Coordinator, MethodsScaleTheScheduledStep) {
  RunOptions options = in_virtual_time(4);
  options.lr_schedule = "step:1:0.5";
  Experiment run(2, "asgd-rescaled", "1,3", options);
  run.method_options.compute_times = {1, 3};
  run.go();
  // τ_h = 2 / (1 + ⅓) = 1.5; worker 0's steps are scaled by 2/3, worker 1's by 2. Arrivals: 0, 0, 0 and 1.
  const std::vector<double> scales = {2.0 / 3, 2.0 / 3, 2.0 / 3, 2};
  for (std::size_t k = 0; k < 4; ++k) {
    EXPECT_DOUBLE_EQ(run.recorder.updates[k].lr, std::ldexp(0.5, -static_cast<int>(k)) * scales[k]);
  }
}

TEST(Coordinator, ATargetLossEndsTheRun) {
  RunOptions options = in_virtual_time(1000);
  options.target_loss = 1;
  options.evaluate_every_updates = 2;
  Experiment run(1, "asgd", "1", options);  // Pull's loss is x itself: 8, 4, 2, 1, …
  run.model[0] = 8;
  const RunSummary summary = run.go();
  EXPECT_EQ(summary.stop_reason, StopReason::target_loss);
  EXPECT_EQ(summary.updates, 4U);  // x = 1 at update 3, seen at 4
  EXPECT_EQ(summary.final_evaluation.loss, 0.5);
}

TEST(Coordinator, ATargetReachedAtTheStartTakesNoUpdate) {
  RunOptions options = in_virtual_time(1000);
  options.target_loss = 0;
  Experiment run(1, "asgd", "1", options);
  const RunSummary summary = run.go();
  EXPECT_EQ(summary.stop_reason, StopReason::target_loss);
  EXPECT_EQ(summary.updates, 0U);
}

// Malenia at version 0: worker 0 arrives at 1 and 2, worker 1 at 2.5; the third job of worker 0, half done,
// is thrown away.
TEST(Coordinator, JobsThrownAwayAreCountedWithTheTimeSpent) {
  Experiment run(2, "malenia", "1,2.5", in_virtual_time(2));
  const RunSummary summary = run.go();
  EXPECT_EQ(run.sequence(), (Sequence{{2.5, 1, 0}, {5, 1, 0}}));
  EXPECT_EQ(summary.gradients, 6U);
  const WorkerRecord& fast = summary.workers[0];
  EXPECT_EQ(fast.jobs, 4U);
  EXPECT_EQ(fast.discarded_jobs, 2U);
  EXPECT_EQ(fast.mean_compute_time, 1);
  EXPECT_EQ(fast.busy_share, 1);
  EXPECT_EQ(fast.discarded_share, 0.2);
  EXPECT_EQ(summary.workers[1].discarded_jobs, 0U);
  EXPECT_EQ(summary.workers[1].discarded_share, 0);
  EXPECT_EQ(summary.discarded_share, 0.1);
  // x ← x − ½ (x − ½), twice
  EXPECT_EQ(run.model[0], 0.375F);
}

// The minibatches of jobs thrown away are not drawn again.
TEST(Coordinator, AJobThrownAwayUsesItsNumberUp) {
  Experiment run(2, "malenia", "1,2.5", in_virtual_time(2), 1);
  std::vector<std::uint64_t> jobs_of_0;
  run.objective.in_gradient = [&](int worker, std::uint64_t job) {
    if (worker == 0) jobs_of_0.push_back(job);
  };
  run.go();
  EXPECT_EQ(jobs_of_0, (std::vector<std::uint64_t>{0, 1, 3, 4}));
  std::vector<std::uint64_t> recorded;
  for (const JobRecord& arrival : run.recorder.arrivals) {
    if (arrival.worker == 0) recorded.push_back(arrival.job);
  }
  EXPECT_EQ(recorded, jobs_of_0);
}

}  // namespace
}  // namespace tardigrad
