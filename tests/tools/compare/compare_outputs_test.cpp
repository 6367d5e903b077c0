#include <gmock/gmock.h>

#include <string>

#include "runtime/base/json_text.h"
#include "tests/support/program.h"
#include "tools/report/page.h"

namespace tardigrad {
namespace {

using testing::Finished;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::read_file;

/// What `tardigrad compare` leaves besides logs.
class CompareOutputs : public testing::QuadraticTest {
 protected:
  Finished compare(const std::string& more) const {
    return tardigrad(
        "compare --model quadratic:problem.json --clock virtual --compute-time 1,3 --updates 20 --eval-every "
        "5 "
        "--methods sync,asgd --lr 0.01,0.1 --seeds 2 " +
        more);
  }

  static bool has_pages() {
    try {
      require_pages();
      return true;
    } catch (const std::invalid_argument&) {
      return false;
    }
  }

  /// "METHOD LR SEED" of the runs that a page draws.
  std::vector<std::string> drawn_on(const std::string& page) const {
    const std::string html = read_file(path(page));
    const std::string before = R"(<script type="application/json" id="data">)";
    const std::size_t from = html.find(before) + before.size();
    std::vector<std::string> runs;
    const auto data = parse_own_json(html.substr(from, html.find("</script>", from) - from));
    for (const auto& picture : data.at("runs")) {
      const auto& run = picture.at("run");
      runs.push_back(run.at("method").get<std::string>() + " " + json_text(run.at("lr")) + " " +
                     json_text(run.at("seed")));
    }
    return runs;
  }
};

TEST_F(CompareOutputs, CommaSeparatedValuesAreThoseOfItsLogs) {
  const Finished run = compare("--log-dir logs --csv all.csv");
  ASSERT_EQ(run.exit_code, 0) << run.err;
  std::string logs;
  for (const std::string name : {"sync-0.01-0", "sync-0.01-1", "sync-0.1-0", "sync-0.1-1", "asgd-0.01-0",
                                 "asgd-0.01-1", "asgd-0.1-0", "asgd-0.1-1"}) {
    logs += " logs/" + name + ".jsonl";
  }
  const std::string csv = read_file(path("all.csv"));
  EXPECT_EQ(csv, tardigrad("table --csv" + logs).out);
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 1 + 8 * 5);
  ASSERT_EQ(compare("--log-dir logs --csv again.csv").exit_code, 0);  // of the runs taken over
  EXPECT_EQ(read_file(path("again.csv")), csv);
}

TEST_F(CompareOutputs, CommaSeparatedValuesMayBeAllOfStdout) {
  const Finished run = compare("--csv -");
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out, ::testing::StartsWith("log,method,lr,seed,"));
  EXPECT_THAT(run.out, HasSubstr("\nasgd-0.1-1.jsonl,asgd,0.1,1,"));
  EXPECT_THAT(run.out, Not(HasSubstr("idle, %")));
  EXPECT_THAT(run.err, HasSubstr("idle, %"));
  EXPECT_EQ(files(), std::vector<std::string>{"problem.json"});
}

TEST_F(CompareOutputs, GivesEachDeviceAsManyWorkersAsAsked) {
  const Finished run = tardigrad(
      "compare --model quadratic:tridiagonal:50 --workers 5 --methods dude --lr 0.01 --updates 10 "
      "--device cpu:2 --workers-per-device 1,4 --log-dir logs");
  ASSERT_EQ(run.exit_code, 0) << run.err;
  int on_second = 0;
  for (const auto& log : std::filesystem::directory_iterator(path("logs"))) {
    for (const auto& worker : testing::records_of(log.path(), "worker")) {
      if (worker.at("device") == "cpu:1") ++on_second;
    }
  }
  EXPECT_EQ(on_second, 4);
}

TEST_F(CompareOutputs, APageDrawsEachMethodAtItsBestStepSize) {
  if (!has_pages()) GTEST_SKIP() << "built without Chart.js";
  const Finished run = compare("--report page.html");
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const std::vector<std::string> best{"sync 0.1 0", "sync 0.1 1", "asgd 0.1 0", "asgd 0.1 1"};
  EXPECT_EQ(drawn_on("page.html"), best);
  EXPECT_EQ(files(), (std::vector<std::string>{"page.html", "problem.json"}));
  ASSERT_EQ(compare("--log-dir logs").exit_code, 0);
  ASSERT_EQ(compare("--log-dir logs --report later.html").exit_code, 0);
  EXPECT_EQ(drawn_on("later.html"), best);
}

TEST_F(CompareOutputs, WhatCannotBeWrittenIsRefusedBeforeAnyRun) {
  std::filesystem::create_directory(path("folder"));
  for (const std::string flag : {"--csv", "--report"}) {
    if (flag == "--report" && !has_pages()) continue;
    const Finished absent = compare(flag + " absent/file");
    EXPECT_EQ(absent.exit_code, 2);
    EXPECT_EQ(absent.err,
              "tardigrad: " + flag +
                  " absent/file: there is no folder absent; expected a file that can be written\n");
    EXPECT_THAT(compare(flag + " folder").err, HasSubstr(flag + " folder: is a folder"));
  }
}

TEST_F(CompareOutputs, ValuesThatCannotBeWrittenAreAnError) {
  const Finished run = compare("--csv /dev/full");
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_THAT(run.err, HasSubstr("tardigrad: --csv /dev/full: cannot be written"));
}

}  // namespace
}  // namespace tardigrad
