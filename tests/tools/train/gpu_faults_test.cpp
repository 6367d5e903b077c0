// What the program does when a GPU fails in the middle: only emulated ones fail on purpose
// (tests/cuda_emulation/faults.h).

#include <gmock/gmock.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <regex>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/program.h"

namespace tardigrad {
namespace {

using ::testing::AllOf;
using testing::Finished;
using ::testing::HasSubstr;

class GpuFaults : public testing::ProgramTest {
 protected:
  void SetUp() override {
    if (tardigrad("devices").out.find("Emulated GPU") == std::string::npos) {
      GTEST_SKIP() << "needs emulated GPUs";
    }
  }
  ~GpuFaults() override { unsetenv("TARDIGRAD_EMULATED_FAULT"); }

  /// A run with the server on cuda:0 and workers on cuda:0 and cuda:1; `fault` is "device:nth launch".
  Finished run_with(const char* fault, const std::string& options) {
    setenv("TARDIGRAD_EMULATED_FAULT", fault, 1);
    return tardigrad(run_ + options);
  }

  /// The same, interrupted when it has said all of that.
  Finished run_until(const std::vector<std::string>& said, const char* fault, const std::string& options) {
    setenv("TARDIGRAD_EMULATED_FAULT", fault, 1);
    const pid_t child = start(run_ + options);
    const auto goes_on = [child] {
      siginfo_t ended{};
      return waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | WNOHANG | WNOWAIT) == 0 &&
             ended.si_pid == 0;
    };
    const auto is_said = [&](const std::string& text) {
      return std::regex_search(testing::read_file(path(".err")), std::regex(text));
    };
    while (!std::ranges::all_of(said, is_said) && goes_on()) std::this_thread::yield();
    kill(child, SIGINT);
    return wait_for(child);
  }

  const std::string run_ =
      "train --model quadratic:tridiagonal:301:noise=0.1 --workers 4 --method asgd --lr 0.01 --updates "
      "1000000 --device cuda:0,1 --save x.safetensors ";
};

TEST_F(GpuFaults, InWallTimeTheWorkersOfALostGpuAreTakenOutAndTheOthersGoOn) {
  // The failure must be looked for.
  for (const char* completions : {"polling", "callback"}) {
    const Finished run =
        run_until({"worker 1 is lost", "worker 3 is lost"}, "1:60",
                  std::string("--log-detail evaluations --log run.jsonl --completions ") + completions);
    EXPECT_EQ(run.exit_code, 128 + SIGINT) << completions << ": " << run.err;
    EXPECT_THAT(run.err, AllOf(HasSubstr("worker 1 is lost"), HasSubstr("worker 3 is lost"),
                               HasSubstr("cuda:1"), HasSubstr("unspecified launch failure")))
        << completions;
    EXPECT_THAT(run.out, HasSubstr("ended by interrupted")) << completions;
    EXPECT_TRUE(std::filesystem::exists(path("x.safetensors"))) << completions;
    std::filesystem::remove(path("x.safetensors"));
  }
}

// Also the program: it ends although a job on a GPU does not.
TEST_F(GpuFaults, InWallTimeAWorkerWhoseJobHangsIsTakenOutAndTheOthersGoOn) {
  for (const char* completions : {"polling", "callback"}) {
    const Finished run = run_until({"worker [13] is lost"}, "1:60:hang",
                                   std::string("--worker-timeout 0.5 --completions ") + completions);
    EXPECT_EQ(run.exit_code, 128 + SIGINT) << completions << ": " << run.err;
    EXPECT_THAT(run.err, AllOf(HasSubstr("no end of job"), HasSubstr("(allowed: "))) << completions;
    EXPECT_THAT(run.out, HasSubstr("updates from")) << completions;
    EXPECT_TRUE(std::filesystem::remove(path("x.safetensors"))) << completions;
  }
}

TEST_F(GpuFaults, InVirtualTimeThoseOfAWorkersGpuAreNamedAndTheModelIsSaved) {
  const Finished run = run_with("1:60", "--clock virtual --compute-time linear:1:1");
  EXPECT_EQ(run.exit_code, 3) << run.err;
  EXPECT_THAT(run.err, AllOf(HasSubstr("cuda:1"), HasSubstr("worker"),
                             HasSubstr("unspecified launch failure"), HasSubstr("is saved in")));
  EXPECT_TRUE(std::filesystem::exists(path("x.safetensors")));
}

TEST_F(GpuFaults, OfTheServerAreNamed) {
  for (const char* clock : {"--clock wall", "--clock virtual --compute-time linear:1:1"}) {
    const Finished run = run_with("0:60", clock);
    EXPECT_EQ(run.exit_code, 3) << clock << ": " << run.err;
    EXPECT_THAT(run.err, AllOf(HasSubstr("cuda:0"), HasSubstr("unspecified launch failure"))) << clock;
  }
}

}  // namespace
}  // namespace tardigrad
