#include <gmock/gmock.h>

#include <map>
#include <string>
#include <vector>

#include "tests/support/program.h"

namespace tardigrad {
namespace {

using testing::Finished;
using ::testing::HasSubstr;
using ::testing::Not;
using CsvRow = std::map<std::string, std::string>;

/// The cells of a line, as RFC 4180 says.
std::vector<std::string> cells_of_line(const std::string& line) {
  std::vector<std::string> cells{""};
  bool quoted = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '"' && quoted && line[i + 1] == '"') {
      cells.back() += line[++i];
    } else if (line[i] == '"') {
      quoted = !quoted;
    } else if (line[i] == ',' && !quoted) {
      cells.emplace_back();
    } else {
      cells.back() += line[i];
    }
  }
  return cells;
}

std::vector<CsvRow> parse_csv(const std::string& text) {
  std::istringstream lines(text);
  std::string line;
  std::getline(lines, line);
  const auto names = cells_of_line(line);
  std::vector<CsvRow> rows;
  while (std::getline(lines, line)) {
    const auto cells = cells_of_line(line);
    EXPECT_EQ(cells.size(), names.size()) << line;
    CsvRow& row = rows.emplace_back();
    for (std::size_t i = 0; i < std::min(cells.size(), names.size()); ++i) row[names[i]] = cells[i];
  }
  return rows;
}

class TableCommand : public testing::ProgramTest {
 protected:
  /// A log as `train` leaves it, of two evaluations.
  void write_run(const std::string& name, const std::string& options) const {
    write(
        name,
        R"({"event":"run","workers":2,"clock":"virtual",)" + options + "}\n" +
            R"({"event":"eval","update":0,"time":0,"train_time_s":0,"gradients":0,"loss":2.5,"accuracy":null,"train_loss":null,"smoothness":1.5})"
            "\n"
            R"({"event":"update","update":1,"time":0.1,"worker":0,"staleness":0,"lr":0.1,"gradients":1,"loss":2})"
            "\n"
            R"({"event":"eval","update":3,"time":0.1,"train_time_s":0.30000000000000004,"gradients":4,"loss":0.1234567890123456,"accuracy":null,"gradient_norm_sq":1e-17,"train_loss":0.5})"
            "\n");
  }

  /// The labels that stand above the columns.
  std::string heading(const std::string& logs) const {
    const Finished table = tardigrad("table " + logs);
    EXPECT_EQ(table.exit_code, 0) << table.err;
    return table.out.substr(0, table.out.find('\n'));
  }
};

TEST_F(TableCommand, TellsApartRunsOfOneMethodAndStepSize) {
  write_run("a", R"("method":"dude","lr":0.1,"seed":1,"gather":null)");
  write_run("b", R"("method":"dude","lr":0.1,"seed":2,"gather":null)");
  write_run("c", R"("method":"asgd","lr":0.1,"seed":2,"gather":null)");
  write_run("d", R"("method":"dude","lr":0.1,"seed":2,"gather":3)");
  EXPECT_THAT(heading("a b c"), HasSubstr(" dude 0.1, seed 1 dude 0.1, seed 2     asgd 0.1"));
  EXPECT_THAT(heading("a c"), HasSubstr("     dude 0.1     asgd 0.1"));
  EXPECT_THAT(heading("b d"), HasSubstr(" dude 0.1, no gather dude 0.1, gather 3"));
  EXPECT_THAT(
      heading("a b d"),
      HasSubstr("dude 0.1, seed 1, no gather dude 0.1, seed 2, no gather dude 0.1, seed 2, gather 3"));
}

TEST_F(TableCommand, NamesTheFilesOfRunsThatNothingElseTellsApart) {
  write_run("first", R"("method":"dude","lr":0.1,"seed":1)");
  write_run("second", R"("method":"dude","lr":0.1,"seed":1)");
  EXPECT_THAT(heading("first second"), HasSubstr("dude 0.1, first dude 0.1, second"));
}

TEST_F(TableCommand, CellsStandBelowTheirLabels) {
  write_run("a", R"("method":"dude","lr":0.1,"seed":1)");
  write_run("b", R"("method":"dude","lr":0.1,"seed":2)");
  std::istringstream lines(tardigrad("table a b").out);
  std::string heading;
  std::getline(lines, heading);
  for (std::string line; std::getline(lines, line);) EXPECT_EQ(line.size(), heading.size()) << line;
}

TEST_F(TableCommand, WritesEvaluationsAsCommaSeparatedValues) {
  write_run("a",
            R"("method":"dude","lr":0.1,"seed":1,"model":"quadratic:my \"best\", file.json","dataset":"")");
  write_run("b", R"("method":"asgd","lr":1e-05,"seed":18446744073709551615,"model":"mlp","dataset":"mnist")");
  const Finished csv = tardigrad("table --csv a b");
  ASSERT_EQ(csv.exit_code, 0) << csv.err;
  const auto rows = parse_csv(csv.out);
  ASSERT_EQ(rows.size(), 4U);
  EXPECT_EQ(rows[0].at("log"), "a");
  EXPECT_EQ(rows[0].at("model"), R"(quadratic:my "best", file.json)");
  EXPECT_EQ(rows[0].at("accuracy"), "");
  EXPECT_EQ(rows[0].at("smoothness"), "1.5");
  EXPECT_EQ(rows[1].at("loss"), "0.1234567890123456");
  EXPECT_EQ(rows[1].at("train_time_s"), "0.30000000000000004");
  EXPECT_EQ(rows[1].at("gradient_norm_sq"), "1e-17");
  EXPECT_EQ(rows[1].at("update"), "3");
  EXPECT_EQ(rows[1].at("gradients"), "4");
  EXPECT_EQ(rows[1].at("workers"), "2");
  EXPECT_EQ(rows[2].at("log"), "b");
  EXPECT_EQ(rows[2].at("seed"), "18446744073709551615");
  EXPECT_EQ(std::stod(rows[2].at("lr")), 1e-5);
  EXPECT_EQ(rows[3].at("dataset"), "mnist");
}

TEST_F(TableCommand, CommaSeparatedValuesHaveAColumnForWhatDiffersBesides) {
  write_run("a", R"("method":"dude","lr":0.1,"seed":1,"gather":null,"momentum":0.9)");
  write_run("b", R"("method":"dude","lr":0.1,"seed":1,"gather":3,"momentum":0.9)");
  const auto rows = parse_csv(tardigrad("table --csv a b").out);
  ASSERT_EQ(rows.size(), 4U);
  EXPECT_EQ(rows[0].at("gather"), "");
  EXPECT_EQ(rows[2].at("gather"), "3");
  EXPECT_FALSE(rows[0].contains("momentum"));
}

TEST_F(TableCommand, RefusesWhatIsNoLog) {
  write("other", "{\"event\":\"run\",\"method\":7}\n");
  for (const std::string flags : {"", "--csv "}) {
    const Finished table = tardigrad("table " + flags + "other");
    EXPECT_EQ(table.exit_code, 2);
    EXPECT_THAT(table.err, HasSubstr("other: names no method and step size"));
    EXPECT_EQ(tardigrad("table " + flags + "absent").exit_code, 2);
  }
}

}  // namespace
}  // namespace tardigrad
