// What observers hear of jobs, and when.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>

#include "tests/support/experiment.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;
using ::testing::ElementsAre;

/// The order of what is told, in words.
class Story final : public RunObserver {
 public:
  void on_gradient(const GradientRecord& record) override {
    lines.push_back(fmt::format("{}: worker {} job {} of version {}, staleness {}, {} gradients",
                                record.job.time, record.job.worker, record.job.job, record.job.version,
                                record.staleness, record.gradients));
    gradients.push_back(record);
  }
  void on_update(const UpdateRecord& record) override {
    lines.push_back(fmt::format("{}: update {}", record.time, record.update));
    EXPECT_EQ(gradients.back().update, record.update);
  }
  void on_discard(const JobRecord& record) override {
    lines.push_back(fmt::format("{}: worker {} job {} of version {} discarded after {}", record.time,
                                record.worker, record.job, record.version, record.compute_time));
  }
  std::vector<std::string> lines;
  std::vector<GradientRecord> gradients;
};

TEST(Telemetry, TellsOfEachGradientAndThenOfItsUpdate) {
  Experiment run(2, "sync", "2,3", in_virtual_time(2));
  Story story;
  run.observers = {&story};
  run.go();
  EXPECT_THAT(story.lines,
              ElementsAre("2: worker 0 job 0 of version 0, staleness 0, 1 gradients",
                          "3: worker 1 job 0 of version 0, staleness 0, 2 gradients", "3: update 1",
                          "5: worker 0 job 1 of version 1, staleness 0, 3 gradients",
                          "6: worker 1 job 1 of version 1, staleness 0, 4 gradients", "6: update 2"));
  EXPECT_EQ(story.gradients[0].update, 0U);
  for (const GradientRecord& gradient : story.gradients) {
    EXPECT_EQ(gradient.job.compute_time, gradient.job.worker == 0 ? 2 : 3);
    EXPECT_EQ(gradient.hand_over_time, 0);
    EXPECT_EQ(gradient.queue_time, 0);
  }
  EXPECT_EQ(story.gradients[0].loss, 0);
  EXPECT_EQ(story.gradients[1].loss, 0.5F);
}

// On any number of threads, though gradients are settled later than they arrive.
TEST(Telemetry, TellsOfDiscardedJobsBehindTheGradientThatDiscardedThem) {
  for (const int threads : {1, 3}) {
    Experiment run(2, "ringmaster", "2,7", in_virtual_time(3), threads);
    run.method_options.delay_threshold = 2;
    Story story;
    run.observers = {&story};
    const RunSummary summary = run.go();
    EXPECT_THAT(story.lines,
                ElementsAre("2: worker 0 job 0 of version 0, staleness 0, 1 gradients", "2: update 1",
                            "4: worker 0 job 1 of version 1, staleness 0, 2 gradients", "4: update 2",
                            "4: worker 1 job 0 of version 0 discarded after 4",
                            "6: worker 0 job 2 of version 2, staleness 0, 3 gradients", "6: update 3"));
    EXPECT_EQ(summary.workers[1].discarded_jobs, 1U);
    EXPECT_EQ(summary.workers[0].staleness.total(), 3U);
  }
}

/// Keeps the calling thread busy.
void spin(std::chrono::steady_clock::duration duration) {
  const auto end = std::chrono::steady_clock::now() + duration;
  while (std::chrono::steady_clock::now() < end) {
  }
}

TEST(Telemetry, InWallTimeTheHandOverIsWhatIsNotComputing) {
  constexpr std::chrono::milliseconds gradient_time(2);
  for (const bool timed : {true, false}) {
    Experiment run(2, "dude", "measured", in_wall_time(10));
    run.options.time_jobs = timed;
    run.objective.in_gradient = [&](int, std::uint64_t) { spin(gradient_time); };
    Story story;
    run.observers = {&story};
    const RunSummary summary = run.go();
    for (const GradientRecord& gradient : story.gradients) {
      EXPECT_GE(gradient.hand_over_time, 0);
      EXPECT_LE(gradient.hand_over_time, gradient.job.compute_time - 2e-3);
      EXPECT_GE(gradient.queue_time, 0);
    }
    EXPECT_EQ(summary.workers[0].mean_hand_over_time > 0, timed);
  }
}

// The coordinator is held up while another gradient completes.
TEST(Telemetry, AGradientThatWaitsForTheCoordinatorQueues) {
  Experiment run(2, "asgd", "measured", in_wall_time(2));
  std::atomic<int> computed = 0;
  run.objective.in_gradient = [&](int, std::uint64_t) {
    ++computed;
    computed.notify_all();
  };
  class Holder final : public RunObserver {
   public:
    explicit Holder(std::atomic<int>& gradients) : gradients_(gradients) {}
    void on_arrival(const JobRecord&) override {
      for (int seen = gradients_; seen < 2; seen = gradients_) gradients_.wait(seen);
      spin(std::chrono::milliseconds(20));  // the other gradient is computed, and now arrives
    }

   private:
    std::atomic<int>& gradients_;
  } holder(computed);
  Story story;
  run.observers = {&holder, &story};
  const RunSummary summary = run.go();
  ASSERT_EQ(story.gradients.size(), 2U);
  EXPECT_GT(story.gradients[1].queue_time, 0);
  EXPECT_GT(summary.workers[story.gradients[1].job.worker == 0 ? 0 : 1].mean_queue_time, 0);
}

}  // namespace
}  // namespace tardigrad
