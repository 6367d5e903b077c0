#include <gmock/gmock.h>
#include <unistd.h>

#include <array>

#include "runtime/base/json_text.h"
#include "tests/support/program.h"

namespace tardigrad {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;
using testing::ProgramTest;
using testing::records_of;

/// What a log says of the program and the command that made it.
class LogRecord : public ProgramTest {
 protected:
  nlohmann::json run_record(const std::string& arguments) const {
    const auto run = tardigrad(
        "train --model quadratic:tridiagonal:10 --method asgd --lr 0.1 --workers 2 --device cpu:1 --updates "
        "5 "
        "--log log.jsonl " +
        arguments);
    EXPECT_EQ(run.exit_code, 0) << run.err;
    return records_of(path("log.jsonl"), "run").at(0);
  }
};

TEST_F(LogRecord, NamesTheProgramThatRanAndWhenAndWhere) {
  const auto record = run_record("");
  EXPECT_THAT(record.at("commit").get<std::string>(), MatchesRegex("([0-9a-f]{40}(-changed)?)?"));
  EXPECT_THAT(record.at("date").get<std::string>(),
              MatchesRegex("20[0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9]Z"));
  std::array<char, 256> host{};
  ASSERT_EQ(gethostname(host.data(), host.size() - 1), 0);
  EXPECT_EQ(record.at("host"), host.data());
  const auto& build = record.at("build");
  for (const char* name :
       {"type", "compiler", "flags", "native", "sanitizer", "cuda", "cuda_libraries", "onednn"}) {
    EXPECT_TRUE(build.contains(name)) << name;
  }
  EXPECT_THAT(build.at("compiler").get<std::string>(), MatchesRegex("[A-Za-z]+ [0-9.]+"));
}

TEST_F(LogRecord, HasTheCommandAsItWasGivenWithoutSecrets) {
  const std::string secret = "0123456789abcdef0123456789abcdef";
  for (const char* form : {"--serve-token ", "--serve-token="}) {
    const auto record = run_record("--serve 0 --quiet " + (form + secret));
    const auto line = record.at("command_line").get<std::string>();
    EXPECT_THAT(line, HasSubstr("tardigrad train --model quadratic:tridiagonal:10 --method asgd --lr 0.1 "));
    EXPECT_THAT(line, EndsWith(std::string("--serve 0 --quiet ") + form + "..."));
    EXPECT_THAT(json_text(record), Not(HasSubstr(secret)));
  }
  EXPECT_THAT(run_record("--seed 3").at("command").get<std::string>(), HasSubstr("--seed 3"));
}

}  // namespace
}  // namespace tardigrad
