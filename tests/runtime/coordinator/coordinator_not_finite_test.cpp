#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "tests/support/experiment.h"

namespace tardigrad {
namespace {

using ::testing::AllOf;
using testing::Experiment;
using ::testing::Gt;
using ::testing::HasSubstr;
using testing::in_virtual_time;
using ::testing::SizeIs;

/// x ← x − 8 (x − i): a factor of 7 an update, so losses overflow after some twenty.
RunOptions diverging(ClockKind clock) {
  RunOptions options = in_virtual_time(100000);
  options.lr = 8;
  options.clock = clock;
  return options;
}

class Warnings final : public RunObserver {
 public:
  void on_update(const UpdateRecord& record) override { last_update = record.update; }
  void on_warning(const Warning& warning) override { heard.push_back(warning); }
  std::uint64_t last_update = 0;
  std::vector<Warning> heard;
};

std::optional<std::uint64_t> update_of_failure(Experiment& run) {
  try {
    run.go();
  } catch (const NotFiniteError& error) {
    return error.update();
  }
  throw std::logic_error("the run did not diverge");
}

class NotFinite : public ::testing::TestWithParam<ClockKind> {
 protected:
  NotFinite() : run(1, "asgd", GetParam() == ClockKind::wall ? "measured" : "1", diverging(GetParam())) {
    run.model = start;
  }
  const std::vector<float> start = std::vector<float>(testing::Pull::dimension, 1.0F);
  Experiment run;
};

INSTANTIATE_TEST_SUITE_P(Clocks, NotFinite, ::testing::Values(ClockKind::wall, ClockKind::virtual_time),
                         [](const auto& clock) {
                           return clock.param == ClockKind::wall ? "wall" : "virtual_time";
                         });

TEST_P(NotFinite, LeavesTheModelKeptLast) {
  run.options.keep_model_every = 10;
  const auto update = update_of_failure(run);
  ASSERT_TRUE(update && *update >= 10) << update.value_or(0);
  EXPECT_EQ(*update % 10, 0U);
  EXPECT_TRUE(is_finite(run.model));
  Experiment again(1, "asgd", "1", diverging(ClockKind::virtual_time));
  again.options.max_updates = *update;
  again.model = start;
  again.go();
  EXPECT_EQ(run.model, again.model);
}

TEST_P(NotFinite, LeavesTheModelEvaluatedLast) {
  run.options.evaluate_every_updates = 7;
  const auto update = update_of_failure(run);
  ASSERT_TRUE(update && *update >= 7) << update.value_or(0);
  EXPECT_EQ(*update, run.recorder.evaluations.back().update);
  EXPECT_EQ(run.model[0], static_cast<float>(run.recorder.evaluations.back().evaluation.loss));
}

TEST_P(NotFinite, IsTheLastThatObserversHear) {
  Warnings warnings;
  run.observers = {&warnings};
  EXPECT_EQ(update_of_failure(run), 0U);
  EXPECT_EQ(run.model, start);
  ASSERT_THAT(warnings.heard, SizeIs(1));
  EXPECT_EQ(warnings.heard[0].kind, Warning::Kind::not_finite);
  EXPECT_THAT(warnings.heard[0].text, AllOf(HasSubstr("of worker 0 is inf, at the model of update "),
                                            HasSubstr("the last finite model is that of update 0")));
  EXPECT_THAT(warnings.last_update, Gt(10U));  // all that came before was told
}

// Jobs of old models come after those of new ones: what was kept meanwhile came after the bad model.
TEST(NotFiniteModels, AModelKeptAfterTheBadOneIsNotTaken) {
  RunOptions options = diverging(ClockKind::virtual_time);
  options.keep_model_every = 1;
  Experiment run(8, "asgd", "1,1,1,1,1,1,1,1", options);
  Warnings warnings;
  run.observers = {&warnings};
  std::string message;
  std::optional<std::uint64_t> update;
  try {
    run.go();
  } catch (const NotFiniteError& error) {
    message = error.what();
    update = error.update();
  }
  // The model kept last is of 7 updates after the one whose loss it was.
  EXPECT_EQ(update, 0U) << message;
  EXPECT_THAT(message, HasSubstr("at the model of update " + std::to_string(warnings.last_update - 7)));
}

TEST(NotFiniteModels, WithoutAFiniteModelThereIsNone) {
  Experiment run(1, "asgd", "1", diverging(ClockKind::virtual_time));
  run.model.assign(testing::Pull::dimension, HUGE_VALF);
  EXPECT_EQ(update_of_failure(run), std::nullopt);
}

}  // namespace
}  // namespace tardigrad
