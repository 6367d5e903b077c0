#include "runtime/telemetry/guard_rails.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <random>

#include "tests/support/experiment.h"
#include "tests/support/temporary_file.h"

namespace tardigrad {
namespace {

using ::testing::AllOf;
using testing::Experiment;
using ::testing::HasSubstr;
using testing::in_virtual_time;
using ::testing::SizeIs;

/// Keeps the warnings of one kind.
class Heard final : public RunObserver {
 public:
  explicit Heard(Warning::Kind kind) : kind_(kind) {}
  void on_warning(const Warning& warning) override {
    if (warning.kind == kind_) texts.push_back(warning.text);
  }
  std::vector<std::string> texts;

 private:
  Warning::Kind kind_;
};

// ---- Step sizes ----

/// Of a run on Pull, whose smoothness is 1.
struct Guarded {
  std::vector<std::string> warnings;
  bool diverged;
};

Guarded guarded(const std::string& method, const std::string& compute_time, double lr, double momentum = 0) {
  constexpr int workers = 6;
  RunOptions options = in_virtual_time(3000);
  options.lr = lr;
  options.server.momentum = momentum;
  Experiment run(workers, method, compute_time, options);
  Heard heard(Warning::Kind::step_size);
  const bool table = make_method(method, run.method_options)->memory().tables > 0;
  GuardRails guard_rails({.workers = workers, .table = table, .momentum = momentum, .smoothness = 1.0},
                         {&heard});
  run.observers = {&guard_rails};
  bool diverged = false;
  try {
    diverged = std::abs(run.go().final_evaluation.loss) > 100;
  } catch (const NotFiniteError&) {
    diverged = true;
  }
  return {heard.texts, diverged};
}

// The delay of asgd with workers of one speed is n − 1, and then the bound is exact.
TEST(GuardRails, WarnWhereAQuadraticDivergesAndNotBelow) {
  const double bound = largest_stable_step(1, 5, 0);
  const Guarded above = guarded("asgd", "1,1,1,1,1,1", 1.05 * bound);
  EXPECT_TRUE(above.diverged);
  ASSERT_THAT(above.warnings, SizeIs(1));
  EXPECT_THAT(above.warnings[0], AllOf(HasSubstr("lr 0.299 "), HasSubstr("smoothness 1 (--smoothness)")));
  const Guarded below = guarded("asgd", "1,1,1,1,1,1", 0.95 * bound);
  EXPECT_FALSE(below.diverged);
  EXPECT_THAT(below.warnings, SizeIs(0));
  EXPECT_TRUE(guarded("sync", "1,1,1,1,1,1", 2.1).diverged);
  EXPECT_THAT(guarded("sync", "1,1,1,1,1,1", 2.1).warnings, SizeIs(1));
  EXPECT_THAT(guarded("sync", "1,1,1,1,1,1", 1.9).warnings, SizeIs(0));
}

TEST(GuardRails, MomentumLengthensSteps) {
  const double bound = largest_stable_step(1, 5, 0.9);
  EXPECT_NEAR(bound, largest_stable_step(1, 5, 0) / 10, 1e-12);
  EXPECT_THAT(guarded("asgd", "1,1,1,1,1,1", 1.05 * bound, 0.9).warnings, SizeIs(1));
  EXPECT_THAT(guarded("asgd", "1,1,1,1,1,1", 0.95 * bound, 0.9).warnings, SizeIs(0));
}

/// The first evaluation, and updates of asgd with one worker, of staleness 0.
void tell_updates(RunObserver& observer, double smoothness) {
  EvaluationRecord first;
  first.smoothness = smoothness;
  observer.on_evaluation(first);
  for (std::uint64_t k = 1; k <= 100; ++k) {
    observer.on_gradient(
        {.job = {.worker = 0, .job = k - 1, .version = k - 1, .compute_time = 1}, .update = k});
    observer.on_update({.update = k, .lr = 1, .gradients = k});
  }
}

TEST(GuardRails, TakeTheEstimateOfTheFirstModel) {
  const auto heard_of = [](const GuardedRun& run, double smoothness) {
    Heard heard(Warning::Kind::step_size);
    GuardRails guard_rails(run, {&heard});
    tell_updates(guard_rails, smoothness);
    return heard.texts;
  };
  EXPECT_THAT(heard_of({.workers = 1}, 1.9), SizeIs(0));
  const auto warned = heard_of({.workers = 1}, 2.1);
  ASSERT_THAT(warned, SizeIs(1));
  EXPECT_THAT(warned[0], HasSubstr("smoothness 2.1 (estimated"));
  EXPECT_THAT(heard_of({.workers = 1, .tolerance = 6}, 11.9), SizeIs(0));
  EXPECT_THAT(heard_of({.workers = 1, .tolerance = 6}, 12.1), SizeIs(1));
  EXPECT_THAT(heard_of({.workers = 1, .clipped = true}, 100), SizeIs(0));
}

// ---- Old rows ----

std::vector<std::string> old_rows(const std::string& method, const std::string& compute_time,
                                  const std::vector<double>& job_times = {},
                                  std::optional<std::uint64_t> most_row_age = {}) {
  RunOptions options = in_virtual_time(2000);
  options.lr = 0.001;
  Experiment run(4, method, compute_time, options);
  Heard heard(Warning::Kind::old_row);
  GuardRails guard_rails({.workers = 4, .table = true, .most_row_age = most_row_age, .job_times = job_times},
                         {&heard});
  run.observers = {&guard_rails};
  run.go();
  return heard.texts;
}

// Three workers make 12 updates while the fourth makes one, or 60.
TEST(GuardRails, WarnOfARowOlderThanTenRounds) {
  EXPECT_THAT(old_rows("dude", "1,1,1,4"), SizeIs(0));
  const auto warned = old_rows("dude", "1,1,1,20");
  ASSERT_THAT(warned, SizeIs(1));
  EXPECT_THAT(warned[0], HasSubstr("the row of worker 3 in the table is "));
  EXPECT_THAT(old_rows("ringleader", "1,1,1,20"), SizeIs(0));
  EXPECT_THAT(old_rows("malenia", "1,1,1,20"), SizeIs(0));
}

TEST(GuardRails, DoNotWarnOfRowsThatHaveLeftTheMean) {
  EXPECT_THAT(old_rows("aced", "1,1,1,20", {}, 40), SizeIs(0));
  EXPECT_THAT(old_rows("aced", "1,1,1,20", {}, 1000), SizeIs(1));
}

// A row of the slow worker is 2 · 20 · 3.05 = 122 updates old at most; 183 is what is too much.
TEST(GuardRails, DoNotWarnOfRowsThatAreAsOldAsTheirWorkersWereMadeSlow) {
  const std::vector<double> times = {0.5, 0.5, 0.5, 10};
  EXPECT_THAT(old_rows("dude", "1,1,1,20", times), SizeIs(0));
  const auto warned = old_rows("dude", "1,1,1,40", times);
  ASSERT_THAT(warned, SizeIs(1));
  EXPECT_THAT(warned[0], AllOf(HasSubstr("the row of worker 3 in the table is "),
                               HasSubstr("more than the 183 that --compute-time and --throttle explain")));
  EXPECT_THAT(old_rows("dude", "1,1,1,20", {1, 1, 1, 1}), SizeIs(1));
}

TEST(GuardRails, FloodNobody) {
  Heard heard(Warning::Kind::old_row);
  GuardRails guard_rails({.workers = 20, .table = true}, {&heard});
  for (std::uint64_t k = 1; k <= 1000; ++k) {
    guard_rails.on_gradient({.job = {.worker = 0, .job = k, .version = k - 1}, .update = k});
    guard_rails.on_update({.update = k, .lr = 1});
  }
  ASSERT_THAT(heard.texts, SizeIs(5));
  EXPECT_THAT(heard.texts[4], HasSubstr("will not be told"));
}

// ---- Speeds ----

TEST(SpeedWatch, NoticesAChangeOnce) {
  for (const double factor : {3.5, 1 / 3.5, 5.0}) {
    SpeedWatch watch;
    int told = 0;
    for (int job = 0; job < 200; ++job) {
      const auto times = watch.next(job < 40 ? 0.25 : 0.25 * factor);
      if (!times) continue;
      EXPECT_NEAR(*times, factor, 1e-9);
      EXPECT_EQ(job, 47);
      ++told;
    }
    EXPECT_EQ(told, 1) << factor;
  }
}

TEST(SpeedWatch, NoticesAChangeAmongNoise) {
  std::mt19937_64 random(1);
  std::exponential_distribution noise(1.0);
  int told = 0;
  for (int worker = 0; worker < 200; ++worker) {
    SpeedWatch watch;
    for (int job = 0; job < 100; ++job) ASSERT_FALSE(watch.next(1 + noise(random)));
    for (int job = 0; job < 100; ++job) told += watch.next(5 * (1 + noise(random))) ? 1 : 0;
  }
  EXPECT_GE(told, 195);  // each at most once; a few pass for noise
  EXPECT_LE(told, 200);
}

/// How many of 2,000 workers are said to have changed within 500 jobs each.
int false_alarms(const std::function<double(std::mt19937_64&)>& time) {
  int alarms = 0;
  for (std::uint64_t worker = 0; worker < 2000; ++worker) {
    std::mt19937_64 random(worker);
    SpeedWatch watch;
    for (int job = 0; job < 500; ++job) alarms += watch.next(time(random)) ? 1 : 0;
  }
  return alarms;
}

TEST(SpeedWatch, TakesNoiseForNoChange) {
  std::exponential_distribution exponential(1.0);
  EXPECT_EQ(false_alarms([&](auto& random) { return 1 + exponential(random); }), 0);
  EXPECT_EQ(false_alarms([&](auto& random) { return exponential(random); }), 0);
  EXPECT_EQ(false_alarms([&](auto& random) { return std::exp(exponential(random) / 1.5); }), 0);  // Pareto
}

TEST(GuardRails, WarnOfAnEventThatSlowsAWorkerDown) {
  Experiment run(3, "asgd", "1,1,2", in_virtual_time(600));
  const TemporaryFile script("[[event]]\ntime = 100\nworker = 1\nslowdown = 5\n");
  run.speeds = EventScript::read(script.path(), 3);
  Heard heard(Warning::Kind::speed_change);
  GuardRails guard_rails({.workers = 3}, {&heard});
  run.observers = {&guard_rails};
  run.go();
  ASSERT_THAT(heard.texts, SizeIs(1));
  EXPECT_THAT(
      heard.texts[0],
      HasSubstr("worker 1 computes 5.0 times as slowly as it used to (a job takes 5, since job 100)"));
}

}  // namespace
}  // namespace tardigrad
