// The table of workers at the end of a run: all of few, some of many.

#include <gmock/gmock.h>

#include <sstream>

#include "tests/support/program.h"

namespace tardigrad {
namespace {

using ::testing::AllOf;
using testing::Finished;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::records_of;

class WorkerTable : public testing::ProgramTest {
 protected:
  Finished run(int workers, const std::string& more) const {
    return tardigrad(
        "train --model quadratic:tridiagonal:2 --method asgd --lr 0.001 --clock virtual --device cpu:1 " +
        more + " --workers " + std::to_string(workers));
  }

  /// The workers of the table's rows, each with the last word of its row, in order.
  static std::vector<std::pair<int, std::string>> rows_of(const std::string& out) {
    std::vector<std::pair<int, std::string>> rows;
    std::istringstream lines(out);
    for (std::string line; std::getline(lines, line);) {
      if (line.find("cpu:0") == std::string::npos) continue;
      rows.emplace_back(std::stoi(line), line.substr(line.rfind(' ') + 1));
    }
    return rows;
  }
};

TEST_F(WorkerTable, HasARowForEachOfTwenty) {
  const Finished twenty = run(20, "--compute-time linear:1:1 --updates 200");
  ASSERT_EQ(twenty.exit_code, 0) << twenty.err;
  const auto rows = rows_of(twenty.out);
  ASSERT_EQ(rows.size(), 20U);
  for (int worker = 0; worker < 20; ++worker) EXPECT_EQ(rows[static_cast<std::size_t>(worker)].first, worker);
  EXPECT_THAT(twenty.out, AllOf(Not(HasSubstr("slowest")), Not(HasSubstr("left out"))));
}

// Worker i takes i + 1 units: the slowest have the highest numbers.
TEST_F(WorkerTable, HasTheSlowestTheMedianAndTheFastestOfMany) {
  const Finished many = run(101, "--compute-time linear:1:1 --time-limit 300 --log log.jsonl");
  ASSERT_EQ(many.exit_code, 0) << many.err;
  std::vector<std::pair<int, std::string>> expected;
  for (int worker = 100; worker > 93; --worker) expected.emplace_back(worker, "slowest");
  for (int worker = 53; worker > 47; --worker) expected.emplace_back(worker, "median");
  for (int worker = 6; worker >= 0; --worker) expected.emplace_back(worker, "fastest");
  EXPECT_EQ(rows_of(many.out), expected);
  EXPECT_THAT(many.out,
              HasSubstr("20 of 101 workers are shown: by mean compute time the 7 slowest, the 6 about "
                        "the median and the 7 fastest; 81 are left out (--log has them all)\n"));
  EXPECT_EQ(records_of(path("log.jsonl"), "worker").size(), 101U);
}

TEST_F(WorkerTable, CountsWorkersWithoutAGradient) {
  const Finished few = run(30, "--compute-time linear:1:1 --time-limit 5.5");
  ASSERT_EQ(few.exit_code, 0) << few.err;
  const auto rows = rows_of(few.out);
  ASSERT_EQ(rows.size(), 5U);
  EXPECT_EQ(rows.front().first, 4);
  EXPECT_THAT(few.out,
              HasSubstr("5 of 30 workers are shown; 25 are left out, 25 of them without a gradient that "
                        "came (--log has them all)\n"));
  const Finished more = run(100, "--compute-time linear:1:1 --time-limit 50.5");
  EXPECT_EQ(rows_of(more.out).size(), 20U);
  EXPECT_EQ(rows_of(more.out).front().first, 49);
  EXPECT_THAT(more.out, HasSubstr("80 are left out, 50 of them without a gradient that came"));
}

}  // namespace
}  // namespace tardigrad
