#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/tools/connection.h"
#include "tests/tools/program.h"
#include "tests/tools/refusal.h"

namespace tardigrad {
namespace {

using ::testing::AllOf;
using testing::Connection;
using testing::Finished;
using ::testing::HasSubstr;

/// A run that goes on until it is interrupted.
class Serve : public testing::QuadraticTest {
 protected:
  void SetUp() override {
    child_ = start(run + "--serve 0 --log log.jsonl --time-limit 600");
    std::string said;
    const std::string before = "watch the run at http://127.0.0.1:";
    while (said.find("/\n", said.find(before)) == std::string::npos ||
           said.find(before) == std::string::npos) {
      said = testing::read_file(path(".err"));
      int status = 0;
      if (waitpid(child_, &status, WNOHANG) == 0) continue;
      child_ = 0;
      if (said.find("cpp-httplib") != std::string::npos || said.find("Chart.js") != std::string::npos)
        GTEST_SKIP() << said;
      FAIL() << said;
    }
    port_ = std::stoi(said.substr(said.find(before) + before.size()));
  }

  void TearDown() override {
    if (child_ != 0) end();
  }

  Finished end() {
    kill(child_, SIGINT);
    return wait_for(std::exchange(child_, 0));
  }

  nlohmann::json next_event(Connection& connection) const {
    connection.read_until("data: ");
    return nlohmann::json::parse(connection.read_until("\n\n"));
  }

  const std::string run =
      "train --model quadratic:problem.json --method asgd --lr 0.1 --compute-time 1,1 --time-unit 0.001 ";
  pid_t child_ = 0;
  int port_ = 0;
};

TEST_F(Serve, ShowsTheRunWhileItGoesOn) {
  Connection page(port_);
  page.get(port_, "/");
  EXPECT_THAT(page.read_all(), AllOf(HasSubstr("HTTP/1.1 200 OK"), HasSubstr("</html>")));
  Connection events(port_);
  events.get(port_, "/events");
  nlohmann::json data = next_event(events);
  EXPECT_EQ(data.at("live"), true);
  EXPECT_EQ(data.at("runs").at(0).at("run").at("method"), "asgd");
  const Finished finished = end();
  EXPECT_EQ(finished.exit_code, 128 + SIGINT) << finished.err;
  do {
    data = next_event(events);
  } while (data.at("live") && !HasFailure());
  EXPECT_EQ(data.at("runs").at(0).at("summary").at("stop_reason"), "interrupted");
}

TEST_F(Serve, AClientThatDoesNotReadHoldsUpNoEnd) {
  Connection stalled(port_);
  stalled.get(port_, "/events");
  Connection silent(port_);
  EXPECT_EQ(end().exit_code, 128 + SIGINT);
  EXPECT_EQ(testing::records_of(path("log.jsonl"), "summary").size(), 1u);
}

TEST_F(Serve, APortInUseIsRefusedBeforeAnythingIsWritten) {
  const Finished second =
      tardigrad(run + "--updates 3 --save model.safetensors --serve " + std::to_string(port_));
  EXPECT_EQ(second.exit_code, 2);
  EXPECT_THAT(second.err, HasSubstr("cannot be listened on: Address already in use"));
  EXPECT_FALSE(std::filesystem::exists(path("model.safetensors")));
}

using testing::Refusal;

class BadServing : public testing::RefusalTest {};

TEST_P(BadServing, IsRefusedInOneLine) { expect_refusal(); }

const std::string served_run = "--model quadratic:problem.json --method dude --lr 0.1 --updates 3 ";

INSTANTIATE_TEST_SUITE_P(
    Cases, BadServing,
    ::testing::Values(Refusal{served_run + "--serve 65536", "--serve: 65536 is not a whole number from 0 to 65535"},
                      Refusal{served_run + "--serve web", "--serve"},
                      Refusal{served_run + "--log-size 5", "--log-size 5: expected a size of at least 4K"},
                      Refusal{served_run + "--log-size 256MB", "--log-size 256MB: expected a size"},
                      Refusal{served_run + "--log-size 99999999999T", "--log-size 99999999999T: expected"},
                      Refusal{served_run + "--log-size ''", "--log-size"},
                      Refusal{served_run + "--log-files 1", "--log-files: 1 is not a whole number from 2 to"}));

}  // namespace
}  // namespace tardigrad
