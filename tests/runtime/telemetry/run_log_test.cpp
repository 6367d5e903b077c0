#include "runtime/telemetry/run_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "runtime/base/json_text.h"
#include "runtime/telemetry/run_log_reader.h"
#include "tests/support/temporary_file.h"

namespace tardigrad {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// A run with a record of each kind.
void tell_a_run(RunObserver& observer) {
  observer.on_evaluation(
      {.evaluation = {.loss = 2.5, .accuracy = 0.125, .class_accuracy = {0.25, std::nullopt, 0.0}},
       .train_loss = std::nullopt});
  GradientRecord gradient{.job = {.worker = 1, .job = 0, .version = 0, .time = 1.5, .compute_time = 1.5},
                          .gradients = 1,
                          .loss = 2.25F};
  observer.on_gradient(gradient);
  gradient = {.job = {.worker = 2, .job = 4, .version = 3, .time = 40, .compute_time = 2.5},
              .staleness = 3,
              .hand_over_time = 0.25,
              .queue_time = 0.125,
              .gradients = 9,
              .update = 7,
              .loss = 0.5F};
  observer.on_gradient(gradient);
  observer.on_update(
      {.update = 7, .time = 40, .worker = 2, .staleness = 5, .lr = 0.03, .gradients = 9, .loss = 0.5F});
  observer.on_discard({.worker = 0, .job = 3, .version = 5, .time = 40, .compute_time = 12});
  observer.on_warning({Warning::Kind::old_row, 7, 40, "a row is \"old\""});
  observer.on_worker_change({0, true, 7, 40, "by the script"});
  observer.on_checkpoint({"update-7", 7, 9, 40});
  observer.on_worker_change({0, false, 7, 41, "by the script"});
  observer.on_evaluation({.update = 7,
                          .time = 41,
                          .train_time_s = 0.5,
                          .gradients = 9,
                          .evaluation = {.loss = 0.25, .objective = 0.375, .gradient_norm_sq = 0.0625},
                          .train_loss = 0.75,
                          .smoothness = 12.5});
  RunSummary summary;
  summary.updates = 7;
  summary.final_evaluation = {.loss = 0.25, .accuracy = 0.75};
  summary.stop_reason = StopReason::time_limit;
  summary.workers.resize(2);
  summary.workers[1].worker = 1;
  for (const std::uint64_t staleness : {0, 3, 3, 1000}) summary.workers[1].staleness.add(staleness);
  observer.on_summary(summary);
}

/// That names its file.
std::string without_run_record(const std::string& log) { return log.substr(log.find('\n')); }

std::string log_of_a_run(LogDetail detail) {
  const TemporaryFile file;
  {
    RunLog log(file.path(), R"({"method":"dude","seed":3})", detail);
    tell_a_run(log);
  }
  return testing::read_file(file.path());
}

std::vector<std::string> events_of(const std::string& log) {
  std::vector<std::string> events;
  std::istringstream stream(log);
  for (std::string line; std::getline(stream, line);) events.push_back(parse_own_json(line).at("event"));
  return events;
}

TEST(RunLog, HoldsAsMuchAsItIsToldTo) {
  EXPECT_THAT(events_of(log_of_a_run(LogDetail::evaluations)),
              ElementsAre("run", "eval", "warning", "worker-lost", "checkpoint", "worker-back", "eval",
                          "worker", "worker", "summary"));
  EXPECT_THAT(events_of(log_of_a_run(LogDetail::updates)),
              ElementsAre("run", "eval", "update", "warning", "worker-lost", "checkpoint", "worker-back",
                          "eval", "worker", "worker", "summary"));
  EXPECT_THAT(events_of(log_of_a_run(LogDetail::jobs)),
              ElementsAre("run", "eval", "gradient", "update", "discard", "warning", "worker-lost",
                          "checkpoint", "worker-back", "eval", "worker", "worker", "summary"));
}

TEST(RunLog, WritesTheAccuracyOfEachClass) {
  EXPECT_THAT(log_of_a_run(LogDetail::evaluations),
              AllOf(HasSubstr(R"("accuracy":0.125,"class_accuracy":[0.25,null,0.0],)"),
                    HasSubstr(R"("accuracy":null,"class_accuracy":null,)")));
}

TEST(RunLog, WritesTheNumbersOfAnUpdate) {
  EXPECT_THAT(
      log_of_a_run(LogDetail::updates),
      HasSubstr(
          "\n"
          R"({"event":"update","update":7,"time":40,"worker":2,"staleness":5,"lr":0.03,"gradients":9,"loss":0.5})"
          "\n"));
}

// Whoever kills the run then finds the checkpoint in its log.
TEST(RunLog, ACheckpointIsInTheFileAtOnce) {
  const TemporaryFile file;
  RunLog log(file.path(), R"({"method":"dude"})", LogDetail::jobs);
  log.on_checkpoint({"update-7", 7, 9, 40.5});
  EXPECT_THAT(testing::read_file(file.path()),
              HasSubstr("\n"
                        R"({"event":"checkpoint","name":"update-7","update":7,"gradients":9,"time":40.5})"
                        "\n"));
}

TEST(RunLog, TextsMayHoldAnything) {
  const TemporaryFile file;
  {
    RunLog log(file.path(), R"({"method":"dude"})", LogDetail::jobs);
    log.on_worker_change({0, true, 7, 40, "no \xff of \"UTF-8\"\n"});
  }
  RunObserver nobody;
  RunLogReader(file.path()).tell(nobody);
}

TEST(RunLog, APathThatCannotBeWrittenIsRefused) {
  EXPECT_THROW(RunLog("/nonexistent/folder/log", "{}", LogDetail::jobs), std::invalid_argument);
}

// Read and written again it is the same, so nothing of it was lost.
TEST(RunLogReader, TellsWhatWasTold) {
  for (const LogDetail detail : {LogDetail::evaluations, LogDetail::updates, LogDetail::jobs}) {
    const std::string log = log_of_a_run(detail);
    const TemporaryFile original(log);
    const TemporaryFile copy;
    {
      RunLogReader reader(original.path());
      RunLog again(copy.path(), R"({"method":"dude","seed":3})", detail);
      reader.tell(again);
      EXPECT_EQ(reader.run_json(), R"({"event":"run","method":"dude","seed":3})");
    }
    EXPECT_EQ(without_run_record(testing::read_file(copy.path())), without_run_record(log));
  }
}

TEST(RunLogReader, TellsOnlyAsMuchAsIsAskedFor) {
  const TemporaryFile jobs(log_of_a_run(LogDetail::jobs));
  for (const LogDetail detail : {LogDetail::evaluations, LogDetail::updates, LogDetail::jobs}) {
    const TemporaryFile copy;
    {
      RunLog again(copy.path(), R"({"method":"dude","seed":3})", detail);
      RunLogReader(jobs.path()).tell(again, detail);
    }
    EXPECT_EQ(events_of(testing::read_file(copy.path())), events_of(log_of_a_run(detail)));
    struct Counter : RunObserver {
      std::size_t gradients = 0;
      void on_gradient(const GradientRecord&) override { ++gradients; }
    } counter;
    RunLogReader(jobs.path()).tell(counter, detail);
    EXPECT_EQ(counter.gradients > 1, detail == LogDetail::jobs);
  }
}

// As programs wrote it that knew no accuracy of classes.
TEST(RunLogReader, ReadsOlderEvaluations) {
  struct Evaluations final : RunObserver {
    void on_evaluation(const EvaluationRecord& record) override { latest = record; }
    std::optional<EvaluationRecord> latest;
  } evaluations;
  const TemporaryFile file(
      R"({"event":"run","method":"dude"})"
      "\n"
      R"({"event":"eval","update":7,"time":1,"train_time_s":1,"gradients":7,"loss":0.5,"accuracy":0.75,"train_loss":null})"
      "\n");
  RunLogReader(file.path()).tell(evaluations);
  ASSERT_TRUE(evaluations.latest);
  EXPECT_EQ(evaluations.latest->evaluation.accuracy, 0.75);
  EXPECT_TRUE(evaluations.latest->evaluation.class_accuracy.empty());
}

TEST(RunLogReader, ALogMayEndInTheMiddleOfALine) {
  const std::string log = log_of_a_run(LogDetail::jobs);
  for (const std::size_t missing : {1U, 20U, 200U}) {
    const TemporaryFile file(log.substr(0, log.size() - missing));
    RunObserver nobody;
    EXPECT_NO_THROW(RunLogReader(file.path()).tell(nobody)) << missing;
  }
}

TEST(RunLogReader, SaysWhereARecordIsNone) {
  for (const char* line :
       {"{", "[]", R"({"event":"party"})", R"({"event":"eval","update":"no"})", "\xff",
        R"({"event":"eval","update":0,"time":0,"train_time_s":0,"gradients":0,"loss":1,"accuracy":1,)"
        R"("train_loss":null,"class_accuracy":{"0":1}})",
        R"({"event":"discard","worker":1e300,"job":0,"version":0,"time":1,"compute_time":1})",
        R"({"event":"discard","worker":0,"job":0,"version":0,"time":1e308,"compute_time":1})"}) {
    const TemporaryFile file(R"({"event":"run","method":"dude"})"
                             "\n" +
                             std::string(line) + "\n");
    RunLogReader reader(file.path());
    RunObserver nobody;
    try {
      reader.tell(nobody);
      FAIL() << line;
    } catch (const std::invalid_argument& error) {
      EXPECT_THAT(error.what(), HasSubstr(":2: not a record of a log written by --log"));
    }
  }
}

TEST(RunLogReader, RefusesOtherFiles) {
  for (const char* text : {"", "hello\n", "{}\n", R"({"event":"update"})"}) {
    EXPECT_THROW(RunLogReader(TemporaryFile(text).path()), std::invalid_argument) << text;
  }
  EXPECT_THROW(RunLogReader("/nonexistent/log"), std::invalid_argument);
}

}  // namespace
}  // namespace tardigrad
