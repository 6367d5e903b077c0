#include "runtime/telemetry/buffered_observer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace tardigrad {
namespace {

using ::testing::ElementsAre;

/// Writes down what it hears.
class Notes final : public RunObserver {
 public:
  void on_gradient(const GradientRecord& record) override { add("gradient", record.gradients); }
  void on_update(const UpdateRecord& record) override { add("update", record.update); }
  void on_discard(const JobRecord& record) override { add("discard", record.job); }
  void on_evaluation(const EvaluationRecord& record) override { add("evaluation", record.update); }
  void on_warning(const Warning& warning) override { add("warning", warning.update); }
  void on_summary(const RunSummary& summary) override { add("summary", summary.updates); }

  std::vector<std::string> notes;

 private:
  void add(const std::string& what, std::uint64_t number) {
    notes.push_back(what + " " + std::to_string(number));
  }
};

void tell_of_an_update(RunObserver& observer, std::uint64_t number) {
  GradientRecord gradient;
  gradient.gradients = number;
  observer.on_gradient(gradient);
  UpdateRecord update;
  update.update = number;
  observer.on_update(update);
}

TEST(BufferedObserver, TellsAllInOrderAndOnce) {
  Notes batched;
  Notes second;
  Notes plain;
  {
    BufferedObserver batching({&batched, &second});
    for (RunObserver* told : {static_cast<RunObserver*>(&batching), static_cast<RunObserver*>(&plain)}) {
      for (std::uint64_t number = 1; number <= 1000; ++number) {
        tell_of_an_update(*told, number);
        JobRecord discarded;
        discarded.job = number;
        if (number % 3 == 0) told->on_discard(discarded);
        EvaluationRecord evaluation;
        evaluation.update = number;
        if (number % 70 == 0) told->on_evaluation(evaluation);
        if (number % 110 == 0) told->on_warning({.kind = {}, .update = number, .time = 0, .text = ""});
      }
      told->on_summary({});
    }
  }
  EXPECT_EQ(batched.notes, plain.notes);
  EXPECT_EQ(second.notes, plain.notes);
}

// The first record comes after a long time without any, as all do in slow runs.
TEST(BufferedObserver, NothingWaitsWhereRecordsAreRare) {
  Notes notes;
  BufferedObserver batching({&notes});
  GradientRecord gradient;
  gradient.gradients = 1;
  batching.on_gradient(gradient);
  EXPECT_THAT(notes.notes, ElementsAre("gradient 1"));
}

TEST(BufferedObserver, ARunThatEndsEarlyIsToldUpToThere) {
  Notes notes;
  {
    BufferedObserver batching({&notes});
    for (std::uint64_t number = 1; number <= 10; ++number) tell_of_an_update(batching, number);
  }
  EXPECT_EQ(notes.notes.size(), 20U);
}

}  // namespace
}  // namespace tardigrad
