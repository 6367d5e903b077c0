// Guard rails over a break: what runs that go on from a checkpoint are warned of.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "runtime/base/json_text.h"
#include "runtime/base/state_archive.h"
#include "runtime/telemetry/guard_rails.h"
#include "tests/support/experiment.h"
#include "tests/support/temporary_file.h"
#include "tests/support/temporary_folder.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

using WarningKey = std::tuple<Warning::Kind, std::uint64_t, double, std::string>;

std::vector<WarningKey> keys_of(const std::vector<Warning>& warnings) {
  std::vector<WarningKey> keys;
  for (const Warning& warning : warnings) {
    keys.emplace_back(warning.kind, warning.update, warning.time, warning.text);
  }
  return keys;
}

/// A run whose recorder hears the guard rails.
struct GuardedExperiment {
  GuardedExperiment(int workers, const std::string& method, const std::string& compute_time,
                    std::uint64_t updates, GuardedRun guarded = {})
      : run(workers, method, compute_time, in_virtual_time(updates)) {
    guarded.workers = workers;
    guarded.table = make_method(method, run.method_options)->memory().tables > 0;
    guard_rails.emplace(guarded, std::vector<RunObserver*>{&run.recorder});
    run.observers = {&*guard_rails};
  }

  std::vector<WarningKey> go() {
    run.go();
    return keys_of(run.recorder.warnings);
  }

  Experiment run;
  std::optional<GuardRails> guard_rails;
};

class GuardRailsResume : public ::testing::Test {
 protected:
  /// Has it take a checkpoint at its end. Returns that.
  std::filesystem::path go_to_checkpoint(Experiment& run) const {
    run.options.checkpoints.folder = folder_.path();
    run.options.checkpoints.keep = 1000;
    run.options.checkpoints.run_json = "{}";
    run.go();
    return CheckpointFolder::list(folder_.path()).back();
  }

  /// As an older program has left it.
  static void forget_observers(const std::filesystem::path& checkpoint) {
    nlohmann::ordered_json state = Checkpoint::read(checkpoint).state();
    ASSERT_TRUE(state.contains("observers"));
    state.erase("observers");
    state["coordinator"].erase("reasons");
    std::ofstream(checkpoint / "state.json") << state;
    write_manifest(checkpoint);
  }

  TemporaryFolder folder_;
};

// A row that grows old, a worker that slows down, and steps that are too long, each at another moment.
TEST_F(GuardRailsResume, WarnsAsTheStraightRunDoes) {
  const TemporaryFile script("[[event]]\ntime = 60\nworker = 1\nslowdown = 5\n");
  const auto make = [&](std::uint64_t updates) {
    auto run =
        std::make_unique<GuardedExperiment>(4, "dude", "1,1,1,25", updates, GuardedRun{.smoothness = 25.0});
    run->run.speeds = EventScript::read(script.path(), 4);
    run->run.options.lr = 0.02;
    return run;
  };
  constexpr std::uint64_t all = 300;
  const std::vector<WarningKey> straight = make(all)->go();
  std::set<Warning::Kind> kinds;
  for (const WarningKey& key : straight) kinds.insert(std::get<0>(key));
  ASSERT_THAT(kinds, SizeIs(3));
  for (const std::uint64_t break_at : {3U, 50U, 101U, 230U, 239U, 240U, 270U}) {
    SCOPED_TRACE(break_at);
    const auto first = make(break_at);
    const auto checkpoint = go_to_checkpoint(first->run);
    const auto rest = make(all);
    rest->run.checkpoint = checkpoint;
    std::vector<WarningKey> warnings = keys_of(first->run.recorder.warnings);
    for (const WarningKey& key : rest->go()) warnings.push_back(key);
    EXPECT_EQ(warnings, straight);
  }
}

TEST_F(GuardRailsResume, OfAnOlderCheckpointWarnsOfNothingThatIsNot) {
  GuardedExperiment first(2, "dude", "1,2", 50);
  const auto checkpoint = go_to_checkpoint(first.run);
  forget_observers(checkpoint);
  GuardedExperiment rest(2, "dude", "1,2", 100);
  rest.run.checkpoint = checkpoint;
  EXPECT_THAT(rest.go(), IsEmpty());
}

// Rows that are old by then are told of when they are as old after the break.
TEST_F(GuardRailsResume, OfAnOlderCheckpointStillWarns) {
  GuardedExperiment first(4, "dude", "1,1,1,1000", 20);
  first.run.options.lr = 0.001;
  const auto checkpoint = go_to_checkpoint(first.run);
  EXPECT_THAT(first.run.recorder.warnings, IsEmpty());
  forget_observers(checkpoint);
  GuardedExperiment rest(4, "dude", "1,1,1,1000", 120);
  rest.run.options.lr = 0.001;
  rest.run.checkpoint = checkpoint;
  const auto warnings = rest.go();
  ASSERT_THAT(warnings, SizeIs(1));
  EXPECT_THAT(std::get<std::string>(warnings[0]), HasSubstr("the row of worker 3"));
}

TEST_F(GuardRailsResume, WithOtherWorkersBeginsWithYoungRows) {
  GuardedExperiment first(2, "dude", "1,2", 100);
  const auto checkpoint = go_to_checkpoint(first.run);
  GuardedExperiment rest(3, "dude", "1,2,3", 200);
  rest.run.checkpoint = checkpoint;
  EXPECT_THAT(rest.go(), IsEmpty());
}

/// Updates of asgd with one worker, of staleness 0.
void tell_some(RunObserver& observer, std::uint64_t after, std::uint64_t until, double lr) {
  for (std::uint64_t k = after + 1; k <= until; ++k) {
    observer.on_gradient(
        {.job = {.worker = 0, .job = k - 1, .version = k - 1, .compute_time = 1}, .update = k});
    observer.on_update({.update = k, .lr = lr, .gradients = k});
  }
}

ResumeRecord resumed_at(std::uint64_t update) {
  ResumeRecord record;
  record.checkpoint.update = update;
  return record;
}

/// Told of some updates, and of the rest after a break; what the rest was warned of.
std::vector<std::string> heard_after_break(const GuardedRun& before, double lr_before,
                                           const GuardedRun& after, double lr_after) {
  Recorder ignored;
  GuardRails first(before, {&ignored});
  EvaluationRecord evaluation;
  evaluation.smoothness = 3;  // steps above 2/3 diverge
  first.on_evaluation(evaluation);
  tell_some(first, 0, 100, lr_before);
  StateArchive saved;
  first.visit_state(saved);

  Recorder heard;
  GuardRails second(after, {&heard});
  StateArchive restored(parse_own_json<nlohmann::ordered_json>(json_text(saved.json())), "state");
  second.visit_state(restored);
  second.on_resume(resumed_at(100));
  tell_some(second, 100, 102, lr_after);
  std::vector<std::string> texts;
  for (const Warning& warning : heard.warnings) texts.push_back(warning.text);
  return texts;
}

TEST(GuardRailsState, HasTheEstimateOfTheFirstModel) {
  const auto texts =
      heard_after_break({.workers = 1, .step_origin = "0.1"}, 0.1, {.workers = 1, .step_origin = "0.7"}, 0.7);
  ASSERT_THAT(texts, SizeIs(1));
  EXPECT_THAT(texts[0], HasSubstr("lr 0.7 may be too large"));
  EXPECT_THAT(texts[0], HasSubstr("smoothness 3 (estimated"));
}

// What is said once is said again only of other steps than it was said of.
TEST(GuardRailsState, SaysOnceWhatItSaysOnce) {
  const GuardedRun same{.workers = 1, .step_origin = "0.7"};
  EXPECT_THAT(heard_after_break(same, 0.7, same, 0.7), IsEmpty());
  EXPECT_THAT(heard_after_break(same, 0.7, {.workers = 1, .step_origin = "0.8"}, 0.8), SizeIs(1));
  EXPECT_THAT(heard_after_break(same, 0.7, {.workers = 1, .step_origin = "0.1"}, 0.1), IsEmpty());
}

TEST(GuardRailsState, TakesASmoothnessThatIsGivenNow) {
  EXPECT_THAT(heard_after_break({.workers = 1, .step_origin = "1"}, 0.1,
                                {.workers = 1, .smoothness = 100.0, .step_origin = "2"}, 0.1),
              SizeIs(1));
}

/// What a worker is said to have become, whose jobs take longer after the break.
std::vector<std::string> heard_of_speeds(const std::string& origin_before, const std::string& origin_after) {
  const auto tell = [](RunObserver& observer, std::uint64_t first, std::uint64_t last, double time) {
    for (std::uint64_t job = first; job < last; ++job) {
      observer.on_gradient(
          {.job = {.worker = 0, .job = job, .version = job, .compute_time = time}, .update = job + 1});
    }
  };
  Recorder heard;
  GuardRails first({.workers = 1, .speed_origin = origin_before}, {&heard});
  tell(first, 0, 40, 0.25);
  tell(first, 40, 44, 1.25);  // half of what is noticed
  StateArchive saved;
  first.visit_state(saved);
  GuardRails second({.workers = 1, .speed_origin = origin_after}, {&heard});
  StateArchive restored(saved.json(), "state");
  second.visit_state(restored);
  second.on_resume(resumed_at(44));
  tell(second, 44, 48, 1.25);
  std::vector<std::string> texts;
  for (const Warning& warning : heard.warnings) texts.push_back(warning.text);
  return texts;
}

TEST(GuardRailsState, KnowsSpeedsWhereTheyAreThoseOfBefore) {
  const auto texts = heard_of_speeds("here", "here");
  ASSERT_THAT(texts, SizeIs(1));
  EXPECT_THAT(texts[0], HasSubstr("worker 0 computes 5.0 times as slowly as it used to"));
  EXPECT_THAT(heard_of_speeds("here", "on another machine"), IsEmpty());
}

}  // namespace
}  // namespace tardigrad
