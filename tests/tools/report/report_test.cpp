#include <gmock/gmock.h>

#include <filesystem>
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

bool has_pages() {
  try {
    require_pages();
    return true;
  } catch (const std::invalid_argument&) {
    return false;
  }
}

/// What `tardigrad report` makes of logs; tests/report looks at the page in a browser.
class ReportCommand : public testing::QuadraticTest {
 protected:
  void SetUp() override {
    if (!has_pages()) GTEST_SKIP() << "built without Chart.js";
  }

  void train(const std::string& log, const std::string& more = "") const {
    const Finished run = tardigrad(
        "train --model quadratic:problem.json --method dude --lr 0.1 --clock virtual --updates 20 "
        "--eval-every 5 "
        "--compute-time 1,3 --log " +
        log + " " + more);
    ASSERT_EQ(run.exit_code, 0) << run.err;
  }

  nlohmann::json data_of(const std::string& page) const {
    const std::string html = read_file(path(page));
    const std::string before = R"(<script type="application/json" id="data">)";
    const std::size_t from = html.find(before) + before.size();
    return parse_own_json(html.substr(from, html.find("</script>", from) - from));
  }

  void expect_refusal(const std::string& arguments, const std::string& message) const {
    const Finished report = tardigrad("report " + arguments);
    EXPECT_EQ(report.exit_code, 2) << report.err;
    EXPECT_THAT(report.err, HasSubstr(message));
    EXPECT_EQ(std::count(report.err.begin(), report.err.end(), '\n'), 1) << report.err;
    EXPECT_FALSE(std::filesystem::exists(path("report.html")));
  }
};

TEST_F(ReportCommand, DrawsSeveralLogsOnOnePage) {
  train("a.jsonl");
  train("b.jsonl", "--seed 2");
  ASSERT_EQ(tardigrad("report a.jsonl b.jsonl -o page.html").exit_code, 0);
  const nlohmann::json data = data_of("page.html");
  EXPECT_EQ(data["live"], false);
  ASSERT_EQ(data["runs"].size(), 2U);
  const nlohmann::json& run = data["runs"][0];
  EXPECT_EQ(run["summary"]["updates"], 20);
  EXPECT_EQ(run["evaluations"]["update"], nlohmann::json({0, 5, 10, 15, 20}));
  EXPECT_EQ(run["straggler"]["worker"], 1);
  EXPECT_EQ(run["straggler"]["cause"], "compute");
  EXPECT_LT(std::filesystem::file_size(path("page.html")), 400'000U);
}

TEST_F(ReportCommand, MakesAPageOfWhateverDetailThereIs) {
  train("updates.jsonl", "--log-detail updates");
  train("evaluations.jsonl", "--log-detail evaluations --device cpu");
  ASSERT_EQ(tardigrad("report updates.jsonl evaluations.jsonl").exit_code, 0);
  const nlohmann::json data = data_of("report.html");
  EXPECT_EQ(data["runs"][0]["progress"]["update"].size(), 20U);
  EXPECT_EQ(data["runs"][0]["timeline"], nlohmann::json());
  EXPECT_EQ(data["runs"][1]["progress"]["update"].size(), 0U);
  EXPECT_EQ(data["runs"][1]["workers"][0]["device"], "cpu:0");
}

TEST_F(ReportCommand, MakesAPageOfALogCutOffAnywhere) {
  train("whole.jsonl");
  const std::string log = read_file(path("whole.jsonl"));
  write("killed.jsonl", log.substr(0, log.size() / 2));
  write("begun.jsonl", log.substr(0, log.find('\n') + 1));
  ASSERT_EQ(tardigrad("report killed.jsonl begun.jsonl").exit_code, 0);
  EXPECT_EQ(data_of("report.html")["runs"][0]["summary"], nlohmann::json());
  EXPECT_EQ(data_of("report.html")["runs"][1]["evaluations"]["time"].size(), 0U);
}

TEST_F(ReportCommand, LetsNoTextOfALogIntoTheMarkup) {
  write("odd.jsonl", R"({"event":"run","method":"</script><!--<script>","workers":1,"clock":"wall","seed":1})"
                     "\n");
  ASSERT_EQ(tardigrad("report odd.jsonl").exit_code, 0);
  EXPECT_EQ(data_of("report.html")["runs"][0]["run"]["method"], "</script><!--<script>");
  EXPECT_THAT(read_file(path("report.html")), Not(HasSubstr("<!--<script>")));
}

TEST_F(ReportCommand, RefusesWhatIsNoLogInOneLine) {
  train("virtual.jsonl");
  write("text.jsonl", "hello\n");
  write("line.jsonl", read_file(path("virtual.jsonl")) + "{\"event\":\"?\"}\n");
  write("worker.jsonl", R"({"event":"run","method":"asgd","workers":1,"clock":"virtual","seed":1})"
                        "\n"
                        R"({"event":"discard","time":1,"worker":7,"job":0,"version":0,"compute_time":1})"
                        "\n");
  write("wall.jsonl", R"({"event":"run","method":"asgd","workers":1,"clock":"wall","seed":1})"
                      "\n");
  expect_refusal("absent.jsonl", "absent.jsonl: cannot be read");
  expect_refusal("text.jsonl", "text.jsonl: does not begin with a run record");
  expect_refusal("line.jsonl", "line.jsonl:");
  expect_refusal("worker.jsonl", "worker.jsonl: a record of worker 7, but the run has 1 workers");
  expect_refusal("virtual.jsonl wall.jsonl",
                 "wall.jsonl: a run in wall time; expected virtual time, as in virtual.jsonl");
  expect_refusal("virtual.jsonl -o no/such/folder.html", "--output no/such/folder.html: cannot be written");
  expect_refusal("", "LOG");
}

TEST(Report, HoldsItsDataOrSaysWhatItWasBuiltWithout) {
  try {
    EXPECT_THAT(report_page(page_data({"{}", "{}"}, true)), HasSubstr(R"({"runs":[{},{}],"live":true})"));
    EXPECT_TRUE(has_pages());
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), HasSubstr("tools/dependencies.sh build installs it"));
    EXPECT_FALSE(has_pages());
  }
}

}  // namespace
}  // namespace tardigrad
