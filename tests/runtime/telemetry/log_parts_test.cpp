// Logs of runs that were killed and go on after a checkpoint.

#include "runtime/telemetry/log_parts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "runtime/telemetry/run_log.h"
#include "runtime/telemetry/run_log_reader.h"
#include "tests/support/temporary_file.h"
#include "tests/support/without_times.h"

namespace tardigrad {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

namespace fs = std::filesystem;

constexpr const char* run_of_log = R"({"method":"dude","workers":2,"seed":3})";

std::string run_line(int part, int repeated, const std::string& more = R"("workers":2,"seed":3)") {
  return R"({"event":"run","method":"dude",)" + more + R"(,"log":"log","part":)" + std::to_string(part) +
         R"(,"repeated":)" + std::to_string(repeated) + "}\n";
}

std::string eval_line(int update) {
  return R"({"event":"eval","update":)" + std::to_string(update) + R"(,"time":)" + std::to_string(update) +
         R"(,"train_time_s":0.0,"gradients":1,"loss":1.0,"accuracy":null,"objective":null,)"
         R"("gradient_norm_sq":null,"train_loss":null,"smoothness":null})"
         "\n";
}

CheckpointRecord checkpoint_at(std::uint64_t update) {
  return {"update-" + std::to_string(update), update, update, static_cast<double>(update)};
}

std::string checkpoint_at_line(std::uint64_t update) { return checkpoint_line(checkpoint_at(update)) + "\n"; }

std::string update_line(int update) {
  return R"({"event":"update","update":)" + std::to_string(update) + R"(,"time":)" + std::to_string(update) +
         R"(,"worker":0,"staleness":0,"lr":0.1,"gradients":1,"loss":0})"
         "\n";
}

class KilledLog : public ::testing::Test {
 protected:
  KilledLog() { fs::create_directory(folder_.path()); }
  ~KilledLog() override { fs::remove_all(folder_.path()); }

  std::string path(const std::string& name = "log") const { return folder_.path() + "/" + name; }
  void write(const std::string& name, const std::string& text) const { std::ofstream(path(name)) << text; }

  std::map<std::string, std::string> files() const {
    std::map<std::string, std::string> texts;
    for (const auto& entry : fs::directory_iterator(folder_.path())) {
      texts[entry.path().filename()] = testing::read_file(entry.path());
    }
    return texts;
  }

  LogBeginning cut(std::uint64_t update, const std::string& run = run_of_log) const {
    return cut_log("--log", path(), 4, run, checkpoint_at(update));
  }

 private:
  TemporaryFile folder_;
};

TEST_F(KilledLog, EndsBehindTheCheckpointEvenInTheMiddleOfALine) {
  const std::string kept = run_line(0, 0) + eval_line(0) + update_line(1) + checkpoint_at_line(1);
  for (const std::string& lost :
       {std::string(), update_line(2), update_line(2).substr(0, 9), std::string("\xff\n{")}) {
    write("log", kept + lost);
    const LogBeginning beginning = cut(1);
    EXPECT_EQ(beginning.part, 0U);
    EXPECT_FALSE(beginning.complaint);
    EXPECT_EQ(beginning.run_json, run_of_log);
    EXPECT_EQ(beginning.lasting.size(), 1U);
    EXPECT_THAT(files(), ElementsAre(Pair("log", kept)));
  }
}

TEST_F(KilledLog, HasSeveralCheckpoints) {
  const std::string first = run_line(0, 0) + checkpoint_at_line(1);
  const std::string second = first + update_line(2) + checkpoint_at_line(2);
  write("log", second + update_line(3) + checkpoint_at_line(3));
  EXPECT_EQ(cut(2).part, 0U);
  EXPECT_EQ(testing::read_file(path()), second);
  EXPECT_EQ(cut(1).part, 0U);
  EXPECT_EQ(testing::read_file(path()), first);
  EXPECT_TRUE(cut(3).complaint);
}

// The part with the line becomes the newest again.
TEST_F(KilledLog, PartsBehindTheCheckpointGo) {
  const std::string oldest = run_line(0, 0) + eval_line(0);
  const std::string kept = run_line(1, 1) + eval_line(0) + update_line(1) + checkpoint_at_line(1);
  write("log.3", oldest);
  write("log.2", kept + eval_line(2));
  write("log.1", run_line(2, 2) + eval_line(0) + eval_line(2));
  write("log", run_line(3, 2) + eval_line(0) + eval_line(2) + update_line(3));
  const LogBeginning beginning = cut(1);
  EXPECT_EQ(beginning.part, 1U);
  EXPECT_EQ(beginning.lasting.size(), 1U);
  EXPECT_THAT(files(), ElementsAre(Pair("log", kept), Pair("log.1", oldest)));
}

// As a cut that was itself killed leaves it: the newest are gone, the others have their old names.
TEST_F(KilledLog, CanBeCutAgain) {
  const std::string oldest = run_line(0, 0);
  const std::string kept = run_line(1, 0) + checkpoint_at_line(1);
  write("log.3", oldest);
  write("log.2", kept + update_line(2));
  EXPECT_EQ(cut(1).part, 1U);
  EXPECT_THAT(files(), ElementsAre(Pair("log", kept), Pair("log.1", oldest)));
}

TEST_F(KilledLog, WithoutTheLineItBeginsWithTheEvaluationsUntilThen) {
  const std::string text =
      run_line(5, 1) + eval_line(0) + eval_line(3) + update_line(4) + eval_line(5) + checkpoint_at_line(5);
  write("log", text);
  write("log.1", run_line(4, 0));
  const LogBeginning beginning = cut(4);
  EXPECT_FALSE(beginning.part);
  EXPECT_EQ(beginning.complaint, "holds nothing of checkpoint update-4");
  EXPECT_EQ(beginning.lasting.size(), 2U);
  EXPECT_EQ(testing::read_file(path()), text);  // as yet
}

TEST_F(KilledLog, OfOtherWorkersOrAnotherMethodItBeginsAnew) {
  write("log", run_line(0, 0) + eval_line(0) + checkpoint_at_line(1));
  const LogBeginning fewer = cut(1, R"({"method":"dude","workers":1})");
  EXPECT_EQ(fewer.complaint, "is of workers 2, and the run goes on with 1");
  EXPECT_EQ(fewer.lasting.size(), 1U);
  const LogBeginning other = cut(1, R"({"method":"sync","workers":2})");
  EXPECT_EQ(other.complaint, R"(is of method "dude", and the run goes on with "sync")");
  EXPECT_THAT(other.lasting, IsEmpty());
}

TEST_F(KilledLog, OddFilesAreNoParts) {
  const std::string line = checkpoint_at_line(1);
  for (const std::string& text : {std::string(), std::string("\n"), line, R"({"event":"run",)" + line,
                                  "{\"event\":\"run\",\"log\":5}\n" + line, run_line(0, 0).substr(0, 40),
                                  R"({"event":"run","log":"other"})"
                                  "\n" +
                                      line,
                                  run_line(0, 0) + line.substr(0, line.size() - 1),
                                  run_line(0, 0) + "{\"event\":\"checkpoint\",\"name\":[1]}\n",
                                  run_line(0, 0) + "{\"event\":\"checkpoint\",\"na\n",
                                  run_line(0, 0) + "{\"event\":\"eval\",\"update\":{}}\n"}) {
    write("log", text);
    const LogBeginning beginning = cut(1);
    EXPECT_FALSE(beginning.part) << text;
    EXPECT_TRUE(beginning.complaint) << text;
    EXPECT_THAT(beginning.lasting, IsEmpty()) << text;
    EXPECT_EQ(testing::read_file(path()), text);
  }
  write("log", R"({"event":"run","method":"dude","workers":2,"log":"log","part":"x","repeated":-1})"
               "\n" +
                   line);
  EXPECT_EQ(cut(1).part, 0U);
  fs::remove(path());
  EXPECT_TRUE(cut(1).complaint);
  fs::create_directory(path());
  EXPECT_TRUE(cut(1).complaint);
}

TEST_F(KilledLog, SaysWhatCannotBeChanged) {
  write("log.1", run_line(0, 0) + checkpoint_at_line(1));
  fs::create_directories(path("log") + "/folder");  // in the way
  try {
    cut(1);
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), HasSubstr("--log " + path() + ": cannot go on after checkpoint update-1: "));
  }
}

/// A run of RunLog from one update to another, with an evaluation at every 10th, a lost worker at 25, and a
/// checkpoint at every 20th.
void tell_run(RunLog& log, std::uint64_t first, std::uint64_t last) {
  for (std::uint64_t k = first; k <= last; ++k) {
    const auto time = static_cast<double>(k);
    log.on_update({.update = k, .time = time});
    if (k % 10 == 0) log.on_evaluation({.update = k, .time = time, .evaluation = {}, .train_loss = {}});
    if (k == 25) log.on_worker_change({1, true, k, time, "by the script"});
    if (k % 20 == 0) log.on_checkpoint(checkpoint_at(k));
  }
}

// Killed anywhere behind a checkpoint and gone on with, the parts are those of the run that was not.
TEST_F(KilledLog, GoesOnAsIfNothingHadBeen) {
  constexpr LogRotation rotation{.file_bytes = 4000, .files = 100};
  {
    RunLog log(path(), run_of_log, LogDetail::updates, rotation);
    tell_run(log, 1, 200);
    log.on_summary({});
  }
  const auto whole = files();
  EXPECT_GT(whole.size(), 4U);
  for (const std::uint64_t killed : {20U, 40U, 57U, 133U, 200U}) {
    for (const auto& entry : fs::directory_iterator(path(""))) fs::remove(entry);
    {
      RunLog log(path(), run_of_log, LogDetail::updates, rotation);
      tell_run(log, 1, killed);
    }
    {
      RunLog log(path(), R"({"method":"dude","workers":2,"command":"another"})", LogDetail::updates, rotation,
                 checkpoint_at(20));
      tell_run(log, 21, 200);
      log.on_summary({});
    }
    EXPECT_EQ(files(), whole) << killed;
  }
}

TEST_F(KilledLog, BeginsAnewWhereItsCheckpointIsGone) {
  {
    RunLog log(path(), run_of_log, LogDetail::updates, {.file_bytes = 16'000, .files = 2});
    tell_run(log, 1, 60);
    for (std::uint64_t k = 61; k <= 600; ++k) log.on_update({.update = k, .time = static_cast<double>(k)});
  }
  ::testing::internal::CaptureStderr();
  {
    RunLog log(path(), run_of_log, LogDetail::updates, {}, checkpoint_at(40));
    tell_run(log, 41, 45);
  }
  EXPECT_EQ(testing::without_times(::testing::internal::GetCapturedStderr()),
            "tardigrad: --log " + path() +
                ": holds nothing of checkpoint update-40; begins anew, with the evaluations until then\n");
  EXPECT_EQ(files().size(), 1U);
  struct Listener final : RunObserver {
    void on_update(const UpdateRecord& record) override { told.push_back(record.update); }
    void on_evaluation(const EvaluationRecord& record) override { told.push_back(record.update); }
    void on_worker_change(const WorkerChange& change) override { told.push_back(1000 + change.update); }
    std::vector<std::uint64_t> told;
  } listener;
  RunLogReader(path()).tell(listener);
  EXPECT_THAT(listener.told, ElementsAre(10, 20, 1025, 30, 40, 41, 42, 43, 44, 45));
}

}  // namespace
}  // namespace tardigrad
