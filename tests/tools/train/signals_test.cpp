// What signals do to the program.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <csignal>
#include <fstream>
#include <functional>
#include <string>
#include <thread>

#include "tests/support/program.h"

namespace tardigrad {
namespace {

using ::testing::AllOf;
using testing::Finished;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::read_file;

class Signals : public testing::QuadraticTest {
 protected:
  /// Whether that comes to be while the program runs; if not, the test fails.
  static bool comes(pid_t child, const std::function<bool()>& condition) {
    while (!condition()) {
      siginfo_t ended = {};
      waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | WNOHANG | WNOWAIT);
      if (ended.si_pid != 0) {
        ADD_FAILURE() << "the program has ended";
        return false;
      }
      std::this_thread::yield();
    }
    return true;
  }

  bool trains(pid_t child) const {
    return comes(child,
                 [this] { return read_file(path("log.jsonl")).find("\"update\":") != std::string::npos; });
  }
  bool says(pid_t child, const std::string& text) const {
    return comes(child, [&] { return read_file(path(".err")).find(text) != std::string::npos; });
  }

  /// Whether the program's first thread is in a write to stderr; also where the system does not say.
  static bool writes_to_stderr(pid_t child) {
    std::ifstream file("/proc/" + std::to_string(child) + "/syscall");
    std::string call;
    std::string descriptor;
    file >> call >> descriptor;
    return call.empty() || (call == std::to_string(SYS_write) && descriptor == "0x2");
  }

  /// A named pipe for writing, once the program is about to read from it.
  int open_read(pid_t child, const std::string& name) const {
    int pipe = -1;
    comes(child, [&] { return (pipe = open(path(name).c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC)) >= 0; });
    return pipe;
  }

  const std::string run =
      "train --model quadratic:problem.json --method asgd --lr 0.1 --time-limit 600 --compute-time 1,1 "
      "--time-unit 0.001 --log log.jsonl --save model.safetensors ";
};

class EndingSignals : public Signals, public ::testing::WithParamInterface<int> {};

TEST_P(EndingSignals, EndARunThatSavesWithTheirNumber) {
  const pid_t child = start(run);
  trains(child);
  kill(child, GetParam());
  const Finished finished = wait_for(child);
  EXPECT_EQ(finished.exit_code, 128 + GetParam()) << finished.err;
  EXPECT_THAT(finished.out, HasSubstr("ended by interrupted"));
  EXPECT_EQ(testing::records_of(path("log.jsonl"), "summary").at(0).at("stop_reason"), "interrupted");
  EXPECT_TRUE(std::filesystem::exists(path("model.safetensors")));
}

INSTANTIATE_TEST_SUITE_P(Each, EndingSignals, ::testing::Values(SIGINT, SIGTERM, SIGHUP));

TEST_F(Signals, AreIgnoredThatWereIgnoredBefore) {
  const pid_t child = start(run, "trap '' HUP INT USR1");
  trains(child);
  for (const int number : {SIGHUP, SIGINT, SIGUSR1, SIGTERM}) kill(child, number);
  const Finished finished = wait_for(child);
  EXPECT_EQ(finished.exit_code, 128 + SIGTERM) << finished.err;
  EXPECT_THAT(finished.err,
              AllOf(Not(HasSubstr("SIGHUP")), Not(HasSubstr("SIGINT")), Not(HasSubstr("SIGUSR1"))));
}

// The loop of a shell goes on after a program that says it was interrupted; it ends after one that died of
// it.
TEST_F(Signals, AnInterruptedRunDiesOfItAfterSaving) {
  const pid_t child = start(run);
  trains(child);
  kill(child, SIGINT);
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGINT);
  EXPECT_TRUE(std::filesystem::exists(path("model.safetensors")));
}

TEST_F(Signals, UserSignalTakesACheckpointAndTheRunGoesOn) {
  const pid_t child = start(run + "--checkpoint-dir checkpoints");
  trains(child);
  kill(child, SIGUSR1);
  const std::string said = "tardigrad: the checkpoint of update ";
  says(child, said);
  const std::string errors = read_file(path(".err"));
  EXPECT_THAT(errors, HasSubstr("SIGUSR1: a checkpoint is taken; the run goes on\n"));
  const std::size_t folder = errors.find("checkpoints/update-", errors.find(said));
  ASSERT_NE(folder, std::string::npos) << errors;
  const std::string name = errors.substr(folder, errors.find('\n', folder) - folder);
  EXPECT_TRUE(std::filesystem::exists(path(name) / "manifest.json")) << name;
  kill(child, SIGTERM);
  EXPECT_EQ(wait_for(child).exit_code, 128 + SIGTERM);
}

TEST_F(Signals, UserSignalWithoutCheckpointsIsAnswered) {
  const pid_t child = start(run);
  trains(child);
  kill(child, SIGUSR1);
  says(child, "SIGUSR1: no checkpoint, since there is no --checkpoint-dir; the run goes on\n");
  kill(child, SIGTERM);
  EXPECT_EQ(wait_for(child).exit_code, 128 + SIGTERM);
}

TEST_F(Signals, UserSignalEndsNoComparison) {
  const pid_t child = start(
      "compare --model quadratic:problem.json --methods asgd,dude --lr 0.1 --device cpu:1 --clock virtual "
      "--compute-time 1,1e9 --time-limit 1e9 --log-dir logs");
  comes(child,
        [this] { return read_file(path("logs/asgd-0.1-0.jsonl")).find("\"update\":") != std::string::npos; });
  kill(child, SIGUSR1);
  says(child, "SIGUSR1: compare takes no checkpoints; the runs go on\n");
  kill(child, SIGTERM);
  const Finished finished = wait_for(child);
  EXPECT_EQ(finished.exit_code, 128 + SIGTERM) << finished.err;
  EXPECT_THAT(finished.out, HasSubstr("\ninterrupted: 2 of 2 runs are missing; "));
}

/// A named pipe that the test holds.
class Pipe {
 public:
  explicit Pipe(const std::filesystem::path& path) : path_(path) {
    mkfifo(path.c_str(), 0600);
    descriptor_ = open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC);
  }
  ~Pipe() {
    close(descriptor_);
    std::filesystem::remove(path_);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  /// Until nothing more fits in.
  void fill() const {
    while (write(descriptor_, "x", 1) == 1) continue;
  }

 private:
  std::filesystem::path path_;
  int descriptor_;
};

TEST_F(Signals, TheSecondOneEndsARunThatCannotEnd) {
  Finished finished;
  {
    const Pipe errors(path(".err"));  // which nobody reads
    const pid_t child = start(run + "--eval-every 1");
    trains(child);
    errors.fill();
    comes(child, [child] { return writes_to_stderr(child); });  // where it stands from now on
    kill(child, SIGSTOP);                                       // so that the two are not taken for one
    kill(child, SIGHUP);
    kill(child, SIGTERM);
    kill(child, SIGCONT);
    int status = 0;
    waitpid(child, &status, 0);
    ASSERT_TRUE(WIFEXITED(status));
    finished.exit_code = WEXITSTATUS(status);
  }
  EXPECT_EQ(finished.exit_code, 128 + SIGTERM);
  EXPECT_FALSE(std::filesystem::exists(path("model.safetensors")));
}

TEST_F(Signals, EndTheSetUpAtOnce) {
  std::filesystem::remove(path("problem.json"));
  mkfifo(path("problem.json").c_str(), 0600);
  const pid_t child = start(run);
  const int problem = open_read(child, "problem.json");
  kill(child, SIGTERM);
  const Finished finished = wait_for(child);
  close(problem);
  EXPECT_EQ(finished.exit_code, 128 + SIGTERM);
  EXPECT_THAT(finished.err, HasSubstr("SIGTERM: ended at once"));
  EXPECT_FALSE(std::filesystem::exists(path("model.safetensors")));
}

TEST_F(Signals, EndCommandsThatHaveNothingToSave) {
  mkfifo(path("run.jsonl").c_str(), 0600);
  const pid_t child = start("table run.jsonl");
  const int log = open_read(child, "run.jsonl");
  kill(child, SIGTERM);
  EXPECT_EQ(wait_for(child).exit_code, 128 + SIGTERM);
  close(log);
}

}  // namespace
}  // namespace tardigrad
