#include "runtime/run_log.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace tardigrad {
namespace {

TEST(RunLog, WritesOneRecordALine) {
  const std::string path = ::testing::TempDir() + "tardigrad-run-log-" + std::to_string(getpid());
  {
    RunLog log(path, R"({"method":"dude","seed":3})");
    log.on_update(
        {.update = 1, .time = 40, .worker = 2, .staleness = 3, .lr = 0.03, .gradients = 9, .loss = 0.5f});
    EvaluationRecord evaluation_record;
    evaluation_record.evaluation.loss = 0.25;
    log.on_evaluation(evaluation_record);
    RunSummary summary;
    summary.updates = 1;
    summary.final_evaluation = {.loss = 0.25, .accuracy = 0.75};
    summary.workers.resize(2);
    log.on_summary(summary);
  }
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  std::remove(path.c_str());
  ASSERT_EQ(lines.size(), 6u);
  EXPECT_EQ(lines[0], R"({"event":"run","method":"dude","seed":3})");
  EXPECT_EQ(
      lines[1],
      R"({"event":"update","update":1,"time":40,"worker":2,"staleness":3,"lr":0.03,"gradients":9,"loss":0.5})");
  const auto evaluation = nlohmann::json::parse(lines[2]);
  EXPECT_EQ(evaluation["event"], "eval");
  EXPECT_EQ(evaluation["loss"], 0.25);
  EXPECT_TRUE(evaluation["accuracy"].is_null());
  EXPECT_EQ(nlohmann::json::parse(lines[4])["event"], "worker");
  const auto summary = nlohmann::json::parse(lines[5]);
  EXPECT_EQ(summary["event"], "summary");
  EXPECT_EQ(summary["final_accuracy"], 0.75);
  for (const char* key : {"updates", "gradients", "train_time_s", "final_loss"})
    EXPECT_TRUE(summary.contains(key));
}

TEST(RunLog, APathThatCannotBeWrittenIsRefused) {
  EXPECT_THROW(RunLog("/nonexistent/folder/log", "{}"), std::invalid_argument);
}

}  // namespace
}  // namespace tardigrad
