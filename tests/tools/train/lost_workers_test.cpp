// Runs that lose workers, through the command line.

#include <gmock/gmock.h>

#include <tuple>

#include "tests/support/program.h"

namespace tardigrad {
namespace {

using ::testing::AllOf;
using testing::Finished;
using ::testing::HasSubstr;

class LostWorkersCommand : public testing::QuadraticTest {
 protected:
  /// asgd on the quadratic; `script` is of (time, worker, state).
  Finished run(const std::vector<std::tuple<int, int, std::string>>& script,
               const std::string& options) const {
    std::string text;
    for (const auto& [time, worker, state] : script) {
      text += "[[event]]\ntime = " + std::to_string(time) + "\nworker = " + std::to_string(worker) +
              "\nstate = \"" + state + "\"\n";
    }
    write("events.toml", text);
    return tardigrad(
        "train --model quadratic:problem.json --method asgd --lr 0.05 --compute-time 2,3 "
        "--events events.toml --save x.safetensors " +
        options);
  }

  /// For an end that is later than the script's, also where the machine stalls: in 30 units there are at most
  /// 25 gradients.
  const std::string behind_30 = "--updates 40";
};

TEST_F(LostWorkersCommand, ALossAndAReturnAreToldOnALineEach) {
  const Finished virtual_run = run({{4, 1, "failed"}, {10, 1, "working"}}, "--clock virtual --updates 20");
  EXPECT_EQ(virtual_run.exit_code, 0) << virtual_run.err;
  EXPECT_THAT(virtual_run.err,
              AllOf(HasSubstr("worker 1 is lost at update 3, time 4 units: as --events says\n"),
                    HasSubstr("worker 1 is back at update 6, time 10 units: as --events says\n")));
  const Finished wall_run =
      run({{4, 1, "failed"}, {10, 1, "working"}}, "--time-unit 1e-3 --worker-timeout 60 " + behind_30);
  EXPECT_EQ(wall_run.exit_code, 0) << wall_run.err;
  EXPECT_THAT(wall_run.err, AllOf(HasSubstr("worker 1 is lost"), HasSubstr("worker 1 is back")));
}

TEST_F(LostWorkersCommand, WhenNoWorkerIsLeftTheNewestModelIsSaved) {
  for (const std::string clock : {"--clock virtual", "--time-unit 1e-3"}) {
    const Finished lost = run({{10, 1, "failed"}, {30, 0, "failed"}}, clock + " --updates 1000000");
    EXPECT_EQ(lost.exit_code, 3) << lost.err;
    EXPECT_THAT(lost.err, AllOf(HasSubstr("no gradient will arrive after time"), HasSubstr("worker 1 (as"),
                                HasSubstr("is saved in x.safetensors")));
    EXPECT_TRUE(std::filesystem::remove(path("x.safetensors")));
  }
}

TEST_F(LostWorkersCommand, AReplayGivesTheSameBytes) {
  const Finished recorded = run({{4, 1, "failed"}, {10, 1, "working"}, {30, 0, "failed"}},
                                "--time-unit 1e-3 --record run.rec " + behind_30);
  EXPECT_EQ(recorded.exit_code, 0) << recorded.err;
  const Finished again = tardigrad("train --replay run.rec --save again.safetensors --record again.rec");
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(testing::read_file(path("again.rec")), testing::read_file(path("run.rec")));
  EXPECT_TRUE(testing::read_file(path("again.safetensors")) == testing::read_file(path("x.safetensors")));
}

TEST_F(LostWorkersCommand, TimeOutsAreNumbersAboveZero) {
  for (const std::string time_out : {"0", "-1", "nan", "soon"}) {
    const Finished refused = run({}, "--updates 5 --worker-timeout " + time_out);
    EXPECT_EQ(refused.exit_code, 2);
    EXPECT_THAT(refused.err, HasSubstr("--worker-timeout"));
  }
}

}  // namespace
}  // namespace tardigrad
