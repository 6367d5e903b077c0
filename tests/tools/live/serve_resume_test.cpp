#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "runtime/base/json_text.h"
#include "tests/support/program.h"
#include "tests/tools/live/connection.h"

namespace tardigrad {
namespace {

using testing::Connection;
using testing::Finished;

class ServeResume : public testing::QuadraticTest {
 protected:
  /// The port that a run serves its page at; nothing where it has ended, and then it has been waited for.
  std::optional<int> port_of(pid_t child) const {
    const std::string before = "watch the run at http://127.0.0.1:";
    int status = 0;
    while (waitpid(child, &status, WNOHANG) == 0) {
      const std::string said = testing::read_file(path(".err"));
      const std::size_t at = said.find(before);
      if (at != std::string::npos && said.find("/\n", at) != std::string::npos) {
        return std::stoi(said.substr(at + before.size()));
      }
      std::this_thread::yield();
    }
    return std::nullopt;
  }
};

TEST_F(ServeResume, ShowsWhatTheLogHoldsOfBefore) {
  const Finished first = tardigrad(
      "train --model quadratic:problem.json --method asgd --lr 0.1 --compute-time 1,1 --time-unit 0.001 "
      "--updates 30 --eval-every 10 --log log.jsonl --checkpoint-dir D");
  ASSERT_EQ(first.exit_code, 0) << first.err;
  const pid_t child = start("train --resume D --serve 0 --updates 100000000");
  const auto port = port_of(child);
  if (!port) {
    const std::string said = testing::read_file(path(".err"));
    if (said.find("cpp-httplib") != std::string::npos || said.find("Chart.js") != std::string::npos) {
      GTEST_SKIP() << said;
    }
    FAIL() << said;
  }
  Connection events(*port);
  events.get(*port, "/events");
  nlohmann::json run;
  do {  // the page is there a little before the log is read
    run = parse_own_json(events.read_event()).at("runs").at(0);
  } while (run.at("updates") < 30 && !HasFailure());
  const nlohmann::json updates = run.at("evaluations").at("update");
  ASSERT_GE(updates.size(), 3U) << run;
  EXPECT_EQ(updates.at(0), 0);
  EXPECT_EQ(updates.at(1), 10);
  EXPECT_EQ(updates.at(2), 20);
  kill(child, SIGINT);
  wait_for(child);
}

}  // namespace
}  // namespace tardigrad
