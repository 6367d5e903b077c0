#include "runtime/base/output_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>

#include "runtime/telemetry/json_lines.h"
#include "runtime/telemetry/run_log_reader.h"
#include "tests/support/temporary_file.h"
#include "tests/support/without_times.h"

namespace tardigrad {
namespace {

using ::testing::HasSubstr;

constexpr RetryBackoff none{std::chrono::milliseconds(0),
                            std::chrono::milliseconds(0)};  // tries again at once
constexpr RetryBackoff endless{std::chrono::hours(1), std::chrono::hours(1)};

/// No file of this process grows beyond so many bytes while it lives, that with its stderr neither: a disk
/// that is full in the middle of a record.
class FullDisk {
 public:
  explicit FullDisk(rlim_t bytes) : handler_(signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FullDisk() {
    setrlimit(RLIMIT_FSIZE, &before_);
    signal(SIGXFSZ, handler_);
  }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;

 private:
  rlimit before_{};
  void (*handler_)(int);
};

/// What a file begins with that is to be full soon: more than is said of that.
const std::string beginning = std::string(2000, '-') + "\n";

std::string numbered(int line) { return "line " + std::to_string(line) + "\n"; }

std::string lines(int first, int last) {
  std::string text;
  for (int line = first; line <= last; ++line) text += numbered(line);
  return text;
}

/// stderr of a scope.
class Said {
 public:
  Said() { ::testing::internal::CaptureStderr(); }
  std::string text() { return testing::without_times(::testing::internal::GetCapturedStderr()); }
};

TEST(OutputFile, WhatCannotBeOpenedIsNamed) {
  try {
    const OutputFile file("--log", "/nowhere/log");
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_STREQ(error.what(), "--log /nowhere/log: cannot be written: No such file or directory");
  }
  const TemporaryFile there("text");
  EXPECT_THROW(OutputFile("--log", there.path(), OutputFile::Begin::new_one), std::invalid_argument);
  EXPECT_EQ(testing::read_file(there.path()), "text");
}

TEST(OutputFile, GoesOnBehindWhatIsThere) {
  const TemporaryFile there("before\n");
  {
    OutputFile file("--log", there.path(), OutputFile::Begin::behind);
    file.write("behind\n");
  }
  EXPECT_EQ(testing::read_file(there.path()), "before\nbehind\n");
}

// In the middle of a line; the file never shows half of one.
TEST(OutputFile, AFullDiskLosesNothingWhenThereIsRoomAgain) {
  const TemporaryFile path;
  Said said;
  {
    OutputFile file("--log", path.path(), OutputFile::Begin::empty, {.patience = none});
    file.write(lines(1, 100));
    EXPECT_TRUE(file.flush());
    {
      const FullDisk full(lines(1, 100).size() + 20);
      for (int line = 101; line <= 2000; ++line) EXPECT_TRUE(file.write(numbered(line)));
      EXPECT_FALSE(file.flush());
      EXPECT_EQ(testing::read_file(path.path()), lines(1, 100));
    }
    file.write(numbered(2001));
  }
  EXPECT_EQ(testing::read_file(path.path()), lines(1, 2001));
  EXPECT_EQ(said.text(), "tardigrad: --log " + path.path() +
                             ": cannot be written: File too large; the run goes on, and tries again\n"
                             "tardigrad: --log " +
                             path.path() + ": is written again, nothing was lost\n");
}

TEST(OutputFile, KeepsSoMuchAndLeavesOutWholeRecords) {
  const TemporaryFile path;
  Said said;
  int kept = 0;
  {
    OutputFile file("--log", path.path(), OutputFile::Begin::empty,
                    {.waiting_bytes = 20'000, .patience = none});
    file.write(beginning);
    file.flush();
    {
      const FullDisk full(beginning.size() + 5);
      while (file.write(numbered(kept + 1))) ++kept;
      EXPECT_LE(lines(1, kept).size(), 10'000U);
      EXPECT_GT(lines(1, kept).size(), 9'900U);
      EXPECT_FALSE(file.write(numbered(kept + 2)));
      EXPECT_TRUE(file.write("this matters\n", true));
      EXPECT_EQ(testing::read_file(path.path()), beginning);
    }
  }
  EXPECT_EQ(testing::read_file(path.path()), beginning + lines(1, kept) + "this matters\n");
  EXPECT_THAT(said.text(), HasSubstr("is written again, without 2 records\n"));
}

TEST(OutputFile, RestsBetweenTries) {
  const TemporaryFile path;
  Said said;
  {
    OutputFile file("--log", path.path(), OutputFile::Begin::empty, {.patience = endless});
    file.write(beginning);
    file.flush();
    {
      const FullDisk full(beginning.size() + 5);
      file.write(numbered(1));
      EXPECT_FALSE(file.flush());
    }
    EXPECT_FALSE(file.flush());  // it could, but it is too early
    EXPECT_EQ(testing::read_file(path.path()), beginning);
  }
  EXPECT_EQ(testing::read_file(path.path()), beginning + numbered(1));  // its last chance
  EXPECT_THAT(said.text(), HasSubstr("is written again"));
}

// Of a pipe nothing can be cut off: the rest of a record follows when there is room.
TEST(OutputFile, APipeGetsTheRestOfARecordLater) {
  const TemporaryFile path;
  ASSERT_EQ(mkfifo(path.path().c_str(), 0600), 0);
  const int reader = open(path.path().c_str(), O_RDONLY | O_NONBLOCK);
  ASSERT_GE(reader, 0);
  std::string got;
  const auto read_all = [&] {
    char bytes[4096];
    for (ssize_t n = 0; (n = ::read(reader, bytes, sizeof bytes)) > 0;) {
      got.append(bytes, static_cast<std::size_t>(n));
    }
  };
  Said said;
  const std::string record = std::string(100'000, 'x') + "\n";  // more than a pipe holds
  {
    const int lowest_free = dup(reader);
    close(lowest_free);
    OutputFile file("--log", path.path(), OutputFile::Begin::behind, {.patience = none});
    ASSERT_EQ(fcntl(lowest_free, F_SETFL, O_NONBLOCK), 0);
    file.write(record);
    EXPECT_FALSE(file.flush());
    file.write("last\n");
    read_all();
    EXPECT_LT(got.size(), record.size());
    EXPECT_GT(got.size(), 0U);
    EXPECT_TRUE(file.flush());
    read_all();
  }
  close(reader);
  EXPECT_EQ(got, record + "last\n");
  EXPECT_THAT(said.text(), HasSubstr("is written again, nothing was lost"));
}

TEST(OutputFile, APipeThatNobodyReadsIsTrouble) {
  const TemporaryFile path;
  ASSERT_EQ(mkfifo(path.path().c_str(), 0600), 0);
  const int reader = open(path.path().c_str(), O_RDONLY | O_NONBLOCK);
  auto* handler = signal(SIGPIPE, SIG_IGN);
  Said said;
  {
    OutputFile file("--log", path.path(), OutputFile::Begin::behind, {.patience = none});
    file.write("first\n");
    EXPECT_TRUE(file.flush());
    close(reader);
    file.write("second\n");
    EXPECT_FALSE(file.flush());
  }
  signal(SIGPIPE, handler);
  EXPECT_EQ(said.text(), "tardigrad: --log " + path.path() +
                             ": cannot be written: Broken pipe; the run goes on, and tries again\n");
}

// And readers are told where.
TEST(JsonLines, ALogSaysWhatIsMissing) {
  const TemporaryFile path;
  Said said;
  {
    JsonLines file("--log", path.path(), R"({"method":"dude","pad":")" + beginning.substr(0, 2000) + R"("})",
                   {.waiting_bytes = 2000, .patience = none});
    file.flush();
    const std::string line = R"({"event":"checkpoint","name":"x","update":7,"gradients":9,"time":3})";
    int taken = 0;
    {
      const FullDisk full(file.bytes() + 3);
      while (file.write(line)) ++taken;
      EXPECT_GT(taken, 5);
      file.write(line);
    }
    file.flush();
    EXPECT_TRUE(file.write(line));
  }
  struct Listener final : RunObserver {
    void on_warning(const Warning& warning) override { warnings.push_back(warning); }
    std::vector<Warning> warnings;
  } listener;
  RunLogReader(path.path()).tell(listener);
  ASSERT_EQ(listener.warnings.size(), 1U);
  EXPECT_EQ(listener.warnings[0].text, "2 records of the log could not be written");
  EXPECT_EQ(listener.warnings[0].update, 7U);
  EXPECT_EQ(listener.warnings[0].time, 3);
  said.text();
}

}  // namespace
}  // namespace tardigrad
