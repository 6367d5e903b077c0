#include "runtime/base/start_thread.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "runtime/device/stream.h"
#include "tests/support/experiment.h"
#include "tests/support/no_threads.h"
#include "tests/support/temporary_folder.h"

namespace tardigrad {
namespace {

using ::testing::AllOf;
using testing::Experiment;
using ::testing::HasSubstr;
using testing::in_virtual_time;
using testing::in_wall_time;
using ::testing::Not;
using testing::NoThreads;

TEST(StartThread, SaysWhatForAndWhichLimits) {
  const NoThreads none;
  try {
    start_thread("worker 3", [] {});
    FAIL() << "there is one";
  } catch (const ThreadError& error) {
    EXPECT_THAT(error.what(),
                AllOf(HasSubstr("no thread can be started for worker 3: Resource temporarily unavailable; "),
                      HasSubstr("ulimit -u"), HasSubstr("pids.max"), Not(HasSubstr("\n"))));
  }
}

TEST(StartThread, HelpersAreAsManyAsThereAre) {
  constexpr const char* what = "sums of helpers";  // no other test is told of
  std::atomic<std::size_t> sum = 0;
  const auto add = [&](std::size_t helper) { sum += helper + 1; };
  EXPECT_EQ(start_helpers(what, 3, add).size(), 3U);  // and joined
  EXPECT_EQ(sum, 6U);
  const NoThreads none;
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(start_helpers(what, 3, add).size(), 0U);
  EXPECT_EQ(start_helpers(what, 3, add).size(), 0U);
  const std::string said = ::testing::internal::GetCapturedStderr();
  EXPECT_THAT(said, HasSubstr(std::string("no thread can be started for ") + what + ": "));
  EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 1) << "once is enough: " << said;
}

TEST(ShareOut, DoesEverythingOnceWhoeverIsThere) {
  const auto done_by = [](std::size_t threads) {
    std::vector<std::atomic<int>> times(100);
    EXPECT_TRUE(share_out("sums", times.size(), threads, [&](std::size_t thread, std::size_t i) {
      EXPECT_LT(thread, std::max<std::size_t>(threads, 1));
      ++times[i];
    }));
    return std::ranges::count_if(times, [](const auto& count) { return count == 1; });
  };
  for (const std::size_t threads : {0, 1, 3}) EXPECT_EQ(done_by(threads), 100) << threads;
  const NoThreads none;
  EXPECT_EQ(done_by(3), 100);
}

TEST(ShareOut, BeginsNothingMoreWhereItIsStoppedOrOneThrows) {
  std::size_t done = 0;
  const auto count = [&](std::size_t, std::size_t) { ++done; };
  EXPECT_FALSE(share_out("sums", 10, 1, count, [&] { return done == 4; }));
  EXPECT_EQ(done, 4U);
  const auto fail = [&](std::size_t, std::size_t i) {
    if (i == 3) throw std::invalid_argument("three");
    ++done;
  };
  EXPECT_THROW(share_out("sums", 10, 1, fail), std::invalid_argument);
  EXPECT_EQ(done, 7U);
}

/// The model of a run in virtual time on so many threads.
std::vector<float> model_of_run(const std::string& method, int devices) {
  testing::MethodExperiment run(4, method, "linear:1:0.7+exponential:0.5", in_virtual_time(200), devices);
  run.go();
  return run.model;
}

TEST(FewThreads, VirtualTimeGivesTheSameBits) {
  for (const std::string method : {"dude", "malenia"}) {
    const std::vector<float> expected = model_of_run(method, 3);
    const NoThreads none;
    EXPECT_EQ(model_of_run(method, 3), expected) << method;
  }
}

TEST(FewThreads, WallTimeNeedsAThreadAWorker) {
  Experiment run(2, "asgd", "1,1", in_wall_time(5));
  const NoThreads none;
  try {
    run.go();
    FAIL() << "there are threads";
  } catch (const ThreadError& error) {
    EXPECT_THAT(error.what(), HasSubstr("no thread can be started for the stream '"));
  }
}

/// Lets no thread be started while a checkpoint begins, the first `times` times.
class Shortage final : public RunObserver {
 public:
  explicit Shortage(int times) : left_(times) {}

  void on_update(const UpdateRecord&) override {
    if (left_ > 0 && !none_) none_ = std::make_unique<NoThreads>();
  }
  void on_checkpoint(const CheckpointRecord&) override {
    --left_;
    none_.reset();
  }

 private:
  int left_;
  std::unique_ptr<NoThreads> none_;
};

TEST(FewThreads, ACheckpointThatCannotBeWrittenEndsNoRun) {
  const TemporaryFolder folder;
  const auto train = [&](bool with_checkpoints) {
    auto run = std::make_unique<Experiment>(3, "dude", "1,2,3", in_virtual_time(40), 1);
    Shortage shortage(1);
    if (with_checkpoints) {
      run->options.checkpoints.folder = folder.path();
      run->options.checkpoints.run_json = "{}";
      run->options.checkpoints.every_updates = 10;
      run->observers.push_back(&shortage);
    }
    run->go();
    return run;
  };
  const auto troubled = train(true);
  EXPECT_EQ(troubled->model, train(false)->model);
  ASSERT_EQ(troubled->recorder.warnings.size(), 2U);
  EXPECT_THAT(troubled->recorder.warnings[0].text,
              HasSubstr("no checkpoint: no thread can be started for writing checkpoints: "));
  EXPECT_THAT(troubled->recorder.warnings[1].text, HasSubstr("checkpoints are written again"));
  ASSERT_EQ(troubled->recorder.saved.size(), 1U);
  EXPECT_EQ(troubled->recorder.saved[0].record.update, 40U);
}

}  // namespace
}  // namespace tardigrad
