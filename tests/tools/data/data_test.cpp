#include <gmock/gmock.h>

#include "tests/support/program.h"

namespace tardigrad {
namespace {

using ::testing::AllOf;
using testing::Finished;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::read_file;

class DataCommand : public testing::ProgramTest {
 protected:
  Finished data(const std::string& arguments) const { return tardigrad("data " + arguments); }

  /// 30 rows of the classes ant, bee and <cat>.
  void write_rows() const {
    std::string text = "y,x\n";
    for (int i = 0; i < 30; ++i) {
      const char* const name = i % 3 == 0 ? "ant" : i % 3 == 1 ? "bee" : "<cat>";
      text += std::string(name) + "," + std::to_string(i) + "\n";
    }
    write("rows.csv", text);
  }
};

TEST_F(DataCommand, ShowsWhoHasWhat) {
  write_rows();
  const Finished run =
      data("--dataset csv:rows.csv,label=y --test-share 0 --partition shards:1 --workers 3 -o page.html");
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out, AllOf(HasSubstr("30 training and 30 test examples, 1 features in floats, 3 classes"),
                             HasSubstr("worker  examples     <cat>       ant       bee\n"),
                             HasSubstr(" 10         -")));
  const std::string page = read_file(path("page.html"));
  EXPECT_THAT(page, AllOf(HasSubstr("&lt;cat&gt;: 10 examples, 100.0 % of its own"), HasSubstr("</html>"),
                          Not(HasSubstr("<cat>"))));
}

TEST_F(DataCommand, ShowsTheOutermostOfManyWorkersAndClasses) {
  write_images(400, 20);
  const Finished run = data("--dataset mnist --data-dir . --partition dirichlet:0.1 --workers 40 --seed 3");
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out, AllOf(HasSubstr("mnist: 400 training and 20 test examples, 1x28x28 bytes, 10 classes"),
                             HasSubstr("normalised by mean 0.1307 and deviation 0.3081"),
                             HasSubstr("20 of 40 workers are shown")));
}

TEST_F(DataCommand, TakesAnAssignmentOfItsOwn) {
  write_rows();
  std::string who;
  for (int i = 0; i < 30; ++i) who += std::to_string(i < 25 ? 0 : 1) + "\n";
  write("Who.csv", who);
  const std::string rows =
      "--dataset csv:rows.csv,label=y --test-share 0 --partition file:Who.csv --workers ";
  const Finished run = data(rows + "2");
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out, AllOf(HasSubstr("\n     0        25 "), HasSubstr("\n     1         5 ")));
  EXPECT_THAT(data(rows + "3").err, HasSubstr("Who.csv: worker 2 has no examples"));
}

TEST_F(DataCommand, RefusesInOneLine) {
  write_rows();
  const auto refusal = [&](const std::string& arguments) {
    const Finished run = data(arguments);
    EXPECT_EQ(run.exit_code, 2) << run.err;
    EXPECT_EQ(std::count(run.err.begin(), run.err.end(), '\n'), 1) << run.err;
    return run.err;
  };
  EXPECT_THAT(refusal(""), HasSubstr("data needs a --dataset"));
  EXPECT_THAT(refusal("--dataset csb:rows.csv"), HasSubstr("--dataset csb:rows.csv: unknown"));
  EXPECT_THAT(refusal("--dataset csv:rows.csv,label=z"), HasSubstr("no column 'z'"));
  EXPECT_THAT(refusal("--dataset csv:rows.csv,label=y -o no/where.html"),
              HasSubstr("--output no/where.html"));
  EXPECT_THAT(refusal("--dataset csv:rows.csv,label=y --test-share 1"),
              HasSubstr("--test-share: 1 is not a share"));
}

}  // namespace
}  // namespace tardigrad
