#include "tools/compare/sweep_progress.h"

#include <gmock/gmock.h>
#include <stdlib.h>

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

namespace tardigrad {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

/// Time stands still but for this.
SweepProgress::SteadyClock::time_point shown_time;

/// Shows runs of kinds "a" and "b" every 10 s, into memory.
class ShownProgress : public ::testing::Test {
 protected:
  ShownProgress() { shown_time = {}; }
  ~ShownProgress() override {
    progress_.reset();
    std::fclose(out_);
    free(text_);
  }

  void show(const std::vector<std::string>& kinds, bool terminal = false) {
    progress_.emplace(kinds, SweepProgress::Display{.out = out_,
                                                    .terminal = terminal,
                                                    .period = std::chrono::seconds(10),
                                                    .now = [] { return shown_time; }});
  }

  std::unique_ptr<RunObserver> begin(std::size_t run) { return progress_->begin(run, {.updates = 100}); }

  static void pass(int seconds) { shown_time += std::chrono::seconds(seconds); }

  static void update(RunObserver& run, std::uint64_t updates) {
    run.on_update(
        {.update = updates, .time = 0, .worker = 0, .staleness = 0, .lr = 0, .gradients = 2 * updates});
  }

  /// What has been shown since the last call.
  std::string shown() {
    std::fflush(out_);
    const std::string all(text_, size_);
    const std::string fresh = all.substr(seen_);
    seen_ = all.size();
    return fresh;
  }

  std::optional<SweepProgress> progress_;

 private:
  char* text_ = nullptr;
  std::size_t size_ = 0;
  std::size_t seen_ = 0;
  std::FILE* out_ = open_memstream(&text_, &size_);
};

TEST_F(ShownProgress, ShowsHowFarRunsAreHowFastAndHowLongTheRestTakes) {
  show({"a", "a", "a", "a"});
  const auto first = begin(0);
  const auto second = begin(1);
  pass(9);
  update(*first, 10);
  EXPECT_EQ(shown(), "");
  pass(1);
  update(*second, 25);
  update(*first, 50);
  // 20 and 50 gradients in 10 s. Runs take 100 and 40 s at their pace, others 70 s, and two go on at once.
  EXPECT_EQ(shown(), "0 of 4 runs done, 2 more at 10, 25 %  7 gradients/s  about 2 min left\n");
  pass(10);
  update(*second, 25);
  EXPECT_THAT(shown(), HasSubstr("2 more at 50, 25 %  8 gradients/s"));
}

TEST_F(ShownProgress, NumbersTheRunsThatEndAndCountsThoseTakenOver) {
  show({"a", "a", "b"});
  progress_->take_over(2);
  begin(0);
  progress_->end(0, "the first");
  begin(1);
  progress_->end(1, "the second");
  EXPECT_EQ(shown(), "2/3  the first\n3/3  the second\n");
}

TEST_F(ShownProgress, TakesForARunAsLongAsOthersOfItsKind) {
  show({"a", "a", "b", "b"});
  begin(0);
  pass(4);
  progress_->end(0, "");
  const auto b = begin(2);
  pass(40);
  update(*b, 50);
  // 4 s for the other run of kind a, 40 s for what is left of this one, 80 s for the other one of its kind.
  EXPECT_THAT(shown(), HasSubstr("1 of 4 runs done, 1 more at 50 %  2 gradients/s  about 2 min left"));
}

TEST_F(ShownProgress, SaysNoTimeAsLongAsNothingIsKnown) {
  show({"a"});
  const auto run = progress_->begin(0, {.updates = {}, .gradients = {}, .time = 1e300});
  pass(10);
  run->on_gradient({});
  EXPECT_EQ(shown(), "0 of 1 runs done, 1 more at 0 %  0 gradients/s\n");
}

TEST_F(ShownProgress, MeasuresByTheLimitThatIsNearest) {
  show({"a", "a", "a"});
  const auto by_time = progress_->begin(0, {.updates = 1000, .gradients = {}, .time = 8});
  const auto by_gradients = progress_->begin(1, {.updates = 1000, .gradients = 10, .time = 800});
  by_time->on_gradient({.job = {.time = 6}, .gradients = 1, .update = 1});
  by_gradients->on_gradient({.job = {.time = 6}, .gradients = 4, .update = 1});
  const auto late = begin(2);
  pass(10);
  update(*late, 500);
  EXPECT_THAT(shown(), HasSubstr("3 more at 75, 40, 100 %"));
}

TEST_F(ShownProgress, ManyAtOnceAreSummedUp) {
  show(std::vector<std::string>(6, "a"));
  std::vector<std::unique_ptr<RunObserver>> runs;
  for (std::size_t i = 0; i < 6; ++i) runs.push_back(begin(i));
  for (std::size_t i = 0; i < 5; ++i) update(*runs[i], 40);
  pass(10);
  update(*runs[5], 100);
  EXPECT_THAT(shown(), HasSubstr("6 more at 50 % on average"));
}

TEST_F(ShownProgress, KeepsOneLineOnATerminal) {
  show({"a", "a"}, true);
  const auto run = begin(0);
  for (const std::uint64_t updates : {10, 20}) {
    pass(10);
    update(*run, updates);
    EXPECT_THAT(shown(), AllOf(::testing::StartsWith("\r\033[K0 of 2 runs done"), Not(HasSubstr("\n"))));
  }
  progress_->end(0, "over");
  EXPECT_EQ(shown(), "\r\033[K1/2  over\n");
  begin(1);
  progress_->end(1, "over");
  progress_.reset();
  EXPECT_EQ(shown(), "2/2  over\n");
}

}  // namespace
}  // namespace tardigrad
