#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <regex>
#include <string>
#include <vector>

#include "runtime/base/json_text.h"
#include "tests/support/program.h"
#include "tests/support/refusal.h"
#include "tests/tools/live/connection.h"
#include "tests/tools/live/exposition_parser.h"

namespace tardigrad {
namespace {

using ::testing::AllOf;
using testing::Connection;
using testing::Finished;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

/// A run that goes on until it is interrupted.
class ServedRun : public testing::QuadraticTest {
 protected:
  /// Waits until the page is there.
  void begin(const std::string& arguments) {
    logs_ = arguments.find("--log ") != std::string::npos;
    child_ = start(run + arguments);
    const std::regex address("watch the run at http://[^ ]*:([0-9]+)/[^\n]*\n");
    std::smatch match;
    std::string said;
    while (!std::regex_search(said = testing::read_file(path(".err")), match, address)) {
      int status = 0;
      if (waitpid(child_, &status, WNOHANG) == 0) continue;
      child_ = 0;
      said = testing::read_file(path(".err"));
      if (said.find("cpp-httplib") != std::string::npos || said.find("Chart.js") != std::string::npos) {
        GTEST_SKIP() << said;
      }
      FAIL() << said;
    }
    port_ = std::stoi(match[1]);
  }

  void TearDown() override {
    if (child_ != 0) end();
  }

  /// Interrupts the run; where it has a log, once it has made an update.
  Finished end() {
    const auto goes_on = [this] {
      siginfo_t ended{};
      return waitid(P_PID, static_cast<id_t>(child_), &ended, WEXITED | WNOHANG | WNOWAIT) == 0 &&
             ended.si_pid == 0;
    };
    while (logs_ && testing::read_file(path("log.jsonl")).find("\"event\":\"update\"") == std::string::npos &&
           goes_on()) {
      std::this_thread::yield();
    }
    kill(child_, SIGINT);
    return wait_for(std::exchange(child_, 0));
  }

  /// What it answers to our own page.
  std::string answer_to(const std::string& page) const {
    Connection connection(port_);
    connection.get(port_, page);
    return connection.read_all();
  }

  static std::string body_of(const std::string& answer) {
    const std::string end_of_head = "\r\n\r\n";
    return answer.substr(answer.find(end_of_head) + end_of_head.size());
  }

  /// Once the first update has been made.
  nlohmann::json health(const std::string& query = "") const {
    nlohmann::json health;
    do {
      health = parse_own_json(body_of(answer_to("/health" + query)));
    } while (health.at("update") == 0 && !HasFailure());
    return health;
  }

  nlohmann::json next_event(Connection& connection) const { return parse_own_json(connection.read_event()); }

  const std::string run =
      "train --model quadratic:problem.json --method asgd --lr 0.1 --compute-time 1,1 --time-unit 0.001 ";
  pid_t child_ = 0;
  bool logs_ = false;
  int port_ = 0;
};

class Serve : public ServedRun {
 protected:
  void SetUp() override { begin("--serve 0 --log log.jsonl --time-limit 600"); }
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

TEST_F(Serve, TellsProgramsHowTheRunDoes) {
  const nlohmann::json now = health();
  EXPECT_EQ(now.at("state"), "running");
  EXPECT_GE(now.at("update"), 1);
  EXPECT_EQ(now.at("workers"), 2);
  const std::string answer = answer_to("/metrics");
  EXPECT_THAT(answer, AllOf(HasSubstr("HTTP/1.1 200 OK"),
                            HasSubstr("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n")));
  const auto metrics = testing::ExpositionParser::parse(body_of(answer));
  for (const auto& [name, metric] : metrics) EXPECT_THAT(name, StartsWith("tardigrad_"));
  EXPECT_GE(metrics.at("tardigrad_updates_total").samples.at(0).value, now.at("update"));
  EXPECT_EQ(metrics.at("tardigrad_run_info").samples.at(0).labels.at("method"), "asgd");
  EXPECT_EQ(metrics.at("tardigrad_workers_lost").samples.at(0).value, 0);
  EXPECT_FALSE(metrics.contains("tardigrad_checkpoint_age_seconds"));
}

TEST_F(Serve, AClientThatDoesNotReadHoldsUpNoEnd) {
  Connection stalled(port_);
  stalled.get(port_, "/events");
  Connection silent(port_);
  EXPECT_EQ(end().exit_code, 128 + SIGINT);
  EXPECT_EQ(testing::records_of(path("log.jsonl"), "summary").size(), 1U);
}

TEST_F(Serve, APortInUseIsRefusedBeforeAnythingIsWritten) {
  const Finished second =
      tardigrad(run + "--updates 3 --save model.safetensors --serve " + std::to_string(port_));
  EXPECT_EQ(second.exit_code, 2);
  EXPECT_THAT(second.err, HasSubstr("cannot be listened on: Address already in use"));
  EXPECT_FALSE(std::filesystem::exists(path("model.safetensors")));
}

// ---- Tokens ----

const std::string given_token = "not-to-be-found";

class ServeWithToken : public ServedRun {
 protected:
  /// Of all that the run has left, and said.
  std::vector<std::string> files_with(const std::string& text) const {
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(path(""))) {
      if (entry.is_regular_file() && testing::read_file(entry.path()).find(text) != std::string::npos) {
        found.push_back(entry.path().string());
      }
    }
    return found;
  }

  const std::string query = "?token=" + given_token;
};

TEST_F(ServeWithToken, NothingThatARunLeavesHoldsIt) {
  begin("--serve 0.0.0.0:0 --serve-token " + given_token +
        " --serve-host gpu1 --time-limit 600 --log log.jsonl " +
        "--record run.rec --trace trace.json --save model.safetensors --checkpoint-dir c --checkpoint-every "
        "1u");
  if (IsSkipped() || HasFatalFailure()) return;
  EXPECT_THAT(answer_to("/health"), StartsWith("HTTP/1.1 401"));
  EXPECT_EQ(health(query).at("state"), "running");
  std::string metrics;
  while ((metrics = answer_to("/metrics" + query)).find("checkpoint_age_seconds") == std::string::npos &&
         !HasFailure()) {
  }
  testing::ExpositionParser::parse(body_of(metrics));
  EXPECT_THAT(answer_to("/" + query), AllOf(StartsWith("HTTP/1.1 200"), HasSubstr("</html>")));
  const Finished finished = end();
  EXPECT_EQ(testing::records_of(path("log.jsonl"), "summary").size(), 1U) << finished.err;
  EXPECT_EQ((finished.out + finished.err).find(given_token), std::string::npos) << finished.err;
  EXPECT_THAT(files_with(given_token), ::testing::IsEmpty());
  EXPECT_THAT(files_with("0.0.0.0:0"), Not(::testing::IsEmpty()));  // but where it was served is kept

  // A resumed run needs one again.
  const Finished refused = tardigrad("train --resume c --time-limit 0.001");
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err, HasSubstr("--serve 0.0.0.0:0: others reach that address; expected --serve-token"));
  write("token", "from-a-file-1\n");
  const Finished resumed = tardigrad("train --resume c --time-limit 0.001 --serve-token @token");
  EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
}

TEST_F(ServeWithToken, ComesOfTheEnvironment) {
  ASSERT_EQ(setenv("TARDIGRAD_SERVE_TOKEN", given_token.c_str(), 1), 0);
  begin("--serve 0 --time-limit 600");
  unsetenv("TARDIGRAD_SERVE_TOKEN");
  if (IsSkipped() || HasFatalFailure()) return;
  EXPECT_THAT(answer_to("/health"), StartsWith("HTTP/1.1 401"));
  EXPECT_THAT(answer_to("/health" + query), StartsWith("HTTP/1.1 200"));
}

using testing::Refusal;

class BadServing : public testing::RefusalTest {};

TEST_P(BadServing, IsRefusedInOneLine) { expect_refusal(); }

const std::string served_run = "--model quadratic:problem.json --method dude --lr 0.1 --updates 3 ";

INSTANTIATE_TEST_SUITE_P(
    Cases, BadServing,
    ::testing::Values(
        Refusal{served_run + "--serve 65536", "--serve 65536: expected a port from 0 to 65535"},
        Refusal{served_run + "--serve web", "--serve web: expected a port"},
        Refusal{served_run + "--serve 0.0.0.0:0",
                "--serve 0.0.0.0:0: others reach that address; expected --serve-token (or "
                "TARDIGRAD_SERVE_TOKEN) with it"},
        Refusal{served_run + "--serve [::]:0", "--serve [::]:0: others reach that address"},
        Refusal{served_run + "--serve-token not-a-secret", "--serve-token has no use without --serve"},
        Refusal{served_run + "--serve-host gpu1", "--serve-host has no use without --serve"},
        Refusal{served_run + "--serve 0 --serve-token 1234567",
                "tardigrad: --serve-token: not a token; expected 8 to 1024 letters"},
        Refusal{served_run + "--serve 0 --serve-token 'eight or more'", "--serve-token: not a token;"},
        Refusal{served_run + "--serve 0 --serve-token @nowhere", "--serve-token @nowhere: cannot be read"},
        Refusal{served_run + "--serve 0 --serve-token @problem.json",
                "--serve-token @problem.json: not a token"},
        Refusal{served_run + "--serve 0 --serve-host http://gpu1",
                "--serve-host http://gpu1: expected names of this machine"},
        Refusal{served_run + "--serve 0 --serve-host gpu1,", "--serve-host gpu1,: expected names"},
        Refusal{served_run + "--log-size 5", "--log-size 5: expected a size of at least 4K"},
        Refusal{served_run + "--log-size 256MB", "--log-size 256MB: expected a size"},
        Refusal{served_run + "--log-size 99999999999T", "--log-size 99999999999T: expected"},
        Refusal{served_run + "--log-size ''", "--log-size"},
        Refusal{served_run + "--log-files 1", "--log-files: 1 is not a whole number from 2 to"}));

}  // namespace
}  // namespace tardigrad
