#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <stdexcept>
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

constexpr const char* run_of_parts = R"({"method":"dude","seed":3})";

/// Takes its files along.
class LogFolder {
 public:
  LogFolder() { std::filesystem::create_directory(folder_.path()); }
  ~LogFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_.path(), ignored);
  }
  LogFolder(const LogFolder&) = delete;
  LogFolder& operator=(const LogFolder&) = delete;

  std::string path(const std::string& name = "log") const { return folder_.path() + "/" + name; }

  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
      names.push_back(entry.path().filename());
    }
    std::sort(names.begin(), names.end());
    return names;
  }

 private:
  TemporaryFile folder_;
};

/// What a log tells of.
struct HeardOfParts {
  std::vector<std::uint64_t> updates;
  std::vector<std::uint64_t> evaluations;
  int summaries = 0;
};

class ListenerToParts final : public RunObserver {
 public:
  void on_update(const UpdateRecord& record) override { heard_.updates.push_back(record.update); }
  void on_evaluation(const EvaluationRecord& record) override { heard_.evaluations.push_back(record.update); }
  void on_summary(const RunSummary&) override { ++heard_.summaries; }
  const HeardOfParts& heard() const { return heard_; }

 private:
  HeardOfParts heard_;
};

HeardOfParts read(const std::string& path) {
  ListenerToParts listener;
  RunLogReader(path).tell(listener);
  return listener.heard();
}

UpdateRecord update_to(std::uint64_t version) {
  UpdateRecord record;
  record.update = version;
  return record;
}

EvaluationRecord evaluation_at(std::uint64_t update) {
  EvaluationRecord record;
  record.update = update;
  return record;
}

/// As many updates, and an evaluation at every hundredth.
void write_run(const std::string& path, std::uint64_t updates, LogRotation rotation) {
  RunLog log(path, run_of_parts, LogDetail::updates, rotation);
  log.on_evaluation(evaluation_at(0));
  for (std::uint64_t update = 1; update <= updates; ++update) {
    log.on_update(update_to(update));
    if (update % 100 == 0) log.on_evaluation(evaluation_at(update));
  }
  log.on_summary({});
}

std::vector<std::uint64_t> from_to(std::uint64_t first, std::uint64_t last) {
  std::vector<std::uint64_t> numbers(last - first + 1);
  std::iota(numbers.begin(), numbers.end(), first);
  return numbers;
}

TEST(LogRotation, PartsAreReadAsOneLog) {
  const LogFolder folder;
  write_run(folder.path(), 1000, {.file_bytes = 32 << 10, .files = 100});
  EXPECT_GT(folder.files().size(), 3U);
  const HeardOfParts heard = read(folder.path());
  EXPECT_EQ(heard.updates, from_to(1, 1000));
  EXPECT_THAT(heard.evaluations, ElementsAre(0, 100, 200, 300, 400, 500, 600, 700, 800, 900, 1000));
  EXPECT_EQ(heard.summaries, 1);
}

TEST(LogRotation, KeepsItsFilesAndTheirSizeWithinBounds) {
  const LogFolder folder;
  write_run(folder.path(), 5000, {.file_bytes = 32 << 10, .files = 3});
  EXPECT_THAT(folder.files(), ElementsAre("log", "log.1", "log.2"));
  for (const std::string& file : folder.files()) {
    EXPECT_LE(std::filesystem::file_size(folder.path(file)), 32U << 10) << file;
  }
}

TEST(LogRotation, EvaluationsOutliveTheirParts) {
  const LogFolder folder;
  write_run(folder.path(), 1000, {.file_bytes = 32 << 10, .files = 2});
  const HeardOfParts heard = read(folder.path());
  EXPECT_EQ(heard.updates, from_to(heard.updates.front(), 1000));
  EXPECT_GT(heard.updates.front(), 1U);
  EXPECT_THAT(heard.evaluations, ElementsAre(0, 100, 200, 300, 400, 500, 600, 700, 800, 900, 1000));
}

// What a part repeats is bounded: of very many evaluations that are gone, some are left, the first among
// them.
TEST(LogRotation, OldEvaluationsThinOut) {
  const LogFolder folder;
  {
    RunLog log(folder.path(), run_of_parts, LogDetail::evaluations, {.file_bytes = 8 << 10, .files = 2});
    for (std::uint64_t update = 0; update <= 2000; ++update) log.on_evaluation(evaluation_at(update));
  }
  const HeardOfParts heard = read(folder.path());
  EXPECT_TRUE(std::is_sorted(heard.evaluations.begin(), heard.evaluations.end()));
  EXPECT_EQ(heard.evaluations.front(), 0U);
  EXPECT_EQ(heard.evaluations.back(), 2000U);
  EXPECT_LT(heard.evaluations.size(), 200U);
  EXPECT_EQ(heard.evaluations[2], 2 * heard.evaluations[1]);
  EXPECT_LT(heard.evaluations[1], 1000U);
}

// A run record larger than a part is to be: the log still goes on, and is not all run records.
TEST(LogRotation, ALongRunRecordLeavesRoom) {
  const LogFolder folder;
  {
    RunLog log(folder.path(), R"({"method":")" + std::string(10'000, 'x') + R"("})", LogDetail::updates,
               {.file_bytes = 4096, .files = 2});
    for (std::uint64_t update = 1; update <= 1000; ++update) log.on_update(update_to(update));
  }
  EXPECT_GT(read(folder.path()).updates.size(), 50U);
}

TEST(LogRotation, ANewRunRemovesTheOldOnesParts) {
  const LogFolder folder;
  write_run(folder.path(), 1000, {.file_bytes = 8 << 10, .files = 5});
  ASSERT_EQ(folder.files().size(), 5U);
  write_run(folder.path(), 10, {.file_bytes = 8 << 10, .files = 3});
  EXPECT_THAT(folder.files(), ElementsAre("log"));
  EXPECT_EQ(read(folder.path()).updates, from_to(1, 10));
}

// Another log that happens to have such a name is nobody's part: neither replaced nor read.
TEST(LogRotation, OtherFilesAreLeftAlone) {
  const LogFolder folder;
  write_run(folder.path("log.1"), 10, {});
  try {
    write_run(folder.path(), 10, {});
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), HasSubstr("log.1, which is none; expected another name"));
  }
  EXPECT_THAT(folder.files(), ElementsAre("log.1"));
  EXPECT_EQ(read(folder.path("log.1")).updates, from_to(1, 10));

  write_run(folder.path("other"), 20, {});
  std::filesystem::rename(folder.path("other"), folder.path());
  EXPECT_EQ(read(folder.path()).updates, from_to(1, 20));
}

// Parts read where one is missing: from there on.
TEST(LogRotation, AGapEndsALog) {
  const LogFolder folder;
  write_run(folder.path(), 1000, {.file_bytes = 16 << 10, .files = 100});
  std::filesystem::remove(folder.path("log.2"));
  const HeardOfParts heard = read(folder.path());
  EXPECT_EQ(heard.updates, from_to(heard.updates.front(), 1000));
  EXPECT_GT(heard.updates.front(), 500U);
}

/// Tries again at once.
constexpr OutputFile::Limits eager{.patience = {std::chrono::milliseconds(0), std::chrono::milliseconds(0)}};

std::size_t lines_of(const std::string& text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

// A folder that stands where a part was to go; then it is removed.
TEST(LogRotation, GoesOnInTheOldFileWhereThereCannotBeANewOne) {
  const LogFolder folder;
  ::testing::internal::CaptureStderr();
  RunLog log(folder.path(), run_of_parts, LogDetail::updates, {.file_bytes = 4096, .files = 2}, {}, eager);
  std::filesystem::create_directory(folder.path("log.1"));
  for (std::uint64_t update = 1; update <= 500; ++update) log.on_update(update_to(update));
  const std::string trouble = testing::without_times(::testing::internal::GetCapturedStderr());
  EXPECT_THAT(trouble, HasSubstr("tardigrad: --log " + folder.path() + ": cannot go on in a new file: "));
  EXPECT_EQ(lines_of(trouble), 1U);
  EXPECT_GT(std::filesystem::file_size(folder.path()), 3 * 4096U);

  ::testing::internal::CaptureStderr();
  std::filesystem::remove(folder.path("log.1"));
  log.on_update(update_to(501));
  log.on_summary({});
  EXPECT_EQ(testing::without_times(::testing::internal::GetCapturedStderr()),
            "tardigrad: --log " + folder.path() + ": goes on in a new file again\n");
  EXPECT_THAT(folder.files(), ElementsAre("log", "log.1"));
  EXPECT_EQ(read(folder.path()).updates, from_to(1, 501));
}

// Tried again and again, it does not push older parts off the end.
TEST(LogRotation, OlderPartsOutliveTrouble) {
  const LogFolder folder;
  RunLog log(folder.path(), run_of_parts, LogDetail::updates, {.file_bytes = 4096, .files = 6}, {}, eager);
  std::uint64_t update = 0;
  while (folder.files().size() < 4) log.on_update(update_to(++update));
  std::filesystem::create_directory(folder.path("log.4"));  // nothing can take its place
  std::filesystem::create_directory(folder.path("log.5"));
  ::testing::internal::CaptureStderr();
  for (const std::uint64_t last = update + 500; update < last;) log.on_update(update_to(++update));
  EXPECT_EQ(lines_of(testing::without_times(::testing::internal::GetCapturedStderr())), 1U);
  log.on_summary({});
  EXPECT_EQ(read(folder.path()).updates, from_to(1, update));
}

}  // namespace
}  // namespace tardigrad
