#include <gmock/gmock.h>

#include "runtime/base/json_text.h"
#include "tests/support/program.h"

namespace tardigrad {
namespace {

using nlohmann::json;
using testing::Finished;
using ::testing::HasSubstr;
using testing::read_file;
using testing::records_of;

class Trace : public testing::QuadraticTest {
 protected:
  Finished train(const std::string& more) const {
    return tardigrad("train --model quadratic:problem.json --method dude --lr 0.1 " + more);
  }

  std::size_t count(const json& trace, const std::string& name) const {
    return static_cast<std::size_t>(
        std::ranges::count_if(trace, [&](const json& event) { return event.at("name") == name; }));
  }
};

// tests/runtime/telemetry/trace_file_test.cpp looks at traces as a whole.
TEST_F(Trace, ShowsHandOversInWallTimeWithoutALog) {
  const Finished run = train("--updates 40 --trace trace.json --compute-time 1,1 --time-unit 0.0005");
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(run.err.find("--trace"), std::string::npos) << run.err;
  const json trace = parse_own_json(read_file(path("trace.json")));
  EXPECT_EQ(count(trace, "update"), 40U);
  EXPECT_GT(count(trace, "hand-over"), 20U);
  EXPECT_THAT(read_file(path("trace.json")), HasSubstr("--compute-time 1,1"));  // the command
}

TEST_F(Trace, ReplaysHaveOneToo) {
  ASSERT_EQ(train("--updates 40 --record run.rec").exit_code, 0);
  ASSERT_EQ(tardigrad("train --replay run.rec --trace trace.json").exit_code, 0);
  EXPECT_EQ(count(parse_own_json(read_file(path("trace.json"))), "update"), 40U);
}

TEST_F(Trace, SaysWhatALongRunLeavesOut) {
  const Finished run = train(
      "--updates 20000 --device cpu:2 --clock virtual --compute-time 1,2 --trace trace.json --trace-size 2 "
      "--log log.jsonl");
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.err, HasSubstr("--trace trace.json: holds the beginning, until time "));
  EXPECT_LE(std::filesystem::file_size(path("trace.json")), 2U << 20);
  const json trace = parse_own_json(read_file(path("trace.json")));
  const auto left_out = std::ranges::find(trace, "left out", [](const json& e) { return e.at("name"); });
  ASSERT_NE(left_out, trace.end());
  EXPECT_EQ(count(trace, "update") + left_out->at("args").at("updates").get<std::size_t>(),
            records_of(path("log.jsonl"), "update").size());
}

TEST_F(Trace, FilesAndSizesThatCannotBeAreRefusedBeforeTraining) {
  const auto refused = [&](const std::string& arguments) {
    const auto before = files();
    const Finished run = train("--updates 3 " + arguments);
    EXPECT_EQ(run.exit_code, 2) << arguments;
    EXPECT_EQ(std::count(run.err.begin(), run.err.end(), '\n'), 1) << run.err;
    EXPECT_EQ(files(), before) << arguments;
    return run.err;
  };
  EXPECT_THAT(refused("--trace nowhere/trace.json"),
              HasSubstr("--trace nowhere/trace.json: there is no folder"));
  EXPECT_THAT(refused("--trace . --log log.jsonl"), HasSubstr("--trace .: is a folder"));
  EXPECT_THAT(refused("--trace out --log ./out"), HasSubstr("--trace out: is the file of --log"));
  EXPECT_THAT(refused("--trace-size 3"), HasSubstr("--trace-size has no use without --trace"));
  for (const char* size : {"0", "-1", "x", "1.5", "99999999999"}) {
    EXPECT_THAT(refused(std::string("--trace t.json --trace-size ") + size), HasSubstr("--trace-size"));
  }
}

}  // namespace
}  // namespace tardigrad
