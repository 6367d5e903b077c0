#include "runtime/checkpoint/checkpoint_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/support/experiment.h"
#include "tests/support/temporary_folder.h"

namespace tardigrad {
namespace {

using testing::Experiment;
using ::testing::HasSubstr;
using testing::in_virtual_time;

/// A run with no checkpoints of its own but that of its end, which is asked for others.
struct AskedRun : Experiment {
  explicit AskedRun(const std::filesystem::path& folder, std::uint64_t updates)
      : Experiment(2, "dude", "1,2", in_virtual_time(updates)) {
    options.lr = 0.1;
    options.checkpoints.folder = folder;
    options.checkpoints.run_json = "{}";
    options.checkpoints.request = &request;
  }

  CheckpointRequest request;
};

/// Asks at the first arrival of a run, and again when that has been answered; after the last answer the run
/// is to end.
class Asker final : public RunObserver {
 public:
  Asker(CheckpointRequest& request, int times) : request_(request), left_(times) {}

  std::stop_token answered() const { return answered_.get_token(); }

  void on_arrival(const JobRecord&) override {
    if (pending_) return;
    if (left_ == 0) answered_.request_stop();
    if (left_-- <= 0) return;
    pending_ = true;
    request_.ask();
  }
  void on_checkpoint_saved(const SavedCheckpoint& saved) override {
    if (saved.asked) pending_ = false;
  }
  void on_warning(const Warning& warning) override {
    if (warning.kind == Warning::Kind::checkpoint) pending_ = false;
  }

 private:
  CheckpointRequest& request_;
  int left_;
  bool pending_ = false;
  std::stop_source answered_;
};

TEST(CheckpointRequests, AreAnsweredAtOnceAndTheRunGoesOn) {
  const TemporaryFolder folder;
  AskedRun run(folder.path(), 2000);
  Asker asker(run.request, 1);
  run.observers.push_back(&asker);
  run.go();
  ASSERT_EQ(run.recorder.saved.size(), 2U);
  const auto& [asked, last] = std::tie(run.recorder.saved[0], run.recorder.saved[1]);
  EXPECT_TRUE(asked.asked);
  EXPECT_LE(asked.record.update, 2U);
  EXPECT_EQ(asked.path, folder.path() / asked.record.name);
  EXPECT_FALSE(last.asked);
  EXPECT_EQ(last.record.update, 2000U);
  EXPECT_FALSE(run.request.asked());

  AskedRun rest(folder.path(), 2000);
  rest.checkpoint = asked.path;
  rest.go();
  EXPECT_EQ(rest.model, run.model);
}

TEST(CheckpointRequests, EachHearsThatThereIsNone) {
  const TemporaryFolder parent;
  const std::filesystem::path folder = parent.path() / "checkpoints";
  AskedRun run(folder, std::uint64_t{1} << 40);
  Asker asker(run.request, 2);
  run.observers.push_back(&asker);
  run.objective.in_gradient = [&, broken = false](int, std::uint64_t) mutable {
    if (std::exchange(broken, true)) return;
    std::filesystem::remove_all(folder);
    std::ofstream(folder) << "in the way";
  };
  run.cpus.resize(1);  // the hook runs on one thread
  run.go(asker.answered());
  ASSERT_GE(run.recorder.warnings.size(), 2U);
  EXPECT_THAT(run.recorder.warnings[0].text, HasSubstr("no checkpoint: "));
  EXPECT_THAT(run.recorder.warnings[1].text, HasSubstr("no checkpoint: "));
}

}  // namespace
}  // namespace tardigrad
