// What the program does when a GPU fails in the middle: only emulated ones fail on purpose
// (tests/cuda_emulation/faults.h).

#include <gmock/gmock.h>

#include <cstdlib>

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
    return tardigrad(
        "train --model quadratic:tridiagonal:301:noise=0.1 --workers 4 --method asgd --lr 0.01 --updates "
        "1000000 "
        "--device cuda:0,1 --save x.safetensors " +
        options);
  }
};

TEST_F(GpuFaults, InWallTimeTheWorkersOfALostGpuAreTakenOutAndTheOthersGoOn) {
  // The failure must be looked for.
  for (const char* completions : {"polling", "callback"}) {
    const Finished run = run_with(
        "1:60",
        std::string("--time-limit 3 --log-detail evaluations --log run.jsonl --completions ") + completions);
    EXPECT_EQ(run.exit_code, 0) << completions << ": " << run.err;
    EXPECT_THAT(run.err, AllOf(HasSubstr("worker 1 is lost"), HasSubstr("worker 3 is lost"),
                               HasSubstr("cuda:1"), HasSubstr("unspecified launch failure")))
        << completions;
    EXPECT_TRUE(std::filesystem::exists(path("x.safetensors"))) << completions;
    std::filesystem::remove(path("x.safetensors"));
  }
}

// Also the program: it ends although a job on a GPU does not.
TEST_F(GpuFaults, InWallTimeAWorkerWhoseJobHangsIsTakenOutAndTheOthersGoOn) {
  for (const char* completions : {"polling", "callback"}) {
    const Finished run = run_with(
        "1:60:hang", std::string("--time-limit 3 --worker-timeout 0.5 --completions ") + completions);
    EXPECT_EQ(run.exit_code, 0) << completions << ": " << run.err;
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
