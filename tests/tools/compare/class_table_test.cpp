#include <fmt/format.h>
#include <gmock/gmock.h>

#include "tests/support/program.h"

namespace tardigrad {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using testing::Finished;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::records_of;

class ClassTable : public testing::ProgramTest {
 protected:
  ClassTable() { write_images(200, 100); }

  void train(const std::string& more) const {
    const Finished run = tardigrad(
        "train --model mlp:16 --dataset mnist --data-dir . --lr 0.05 --batch-size 8 --clock virtual "
        "--compute-time linear:1:1 --device cpu:1 --updates 30 " +
        more);
    ASSERT_EQ(run.exit_code, 0) << run.err;
  }
};

TEST_F(ClassTable, ShowsTheClassesOfRunsAndWhoHasThem) {
  train("--method dude --workers 10 --partition shards:1 --log dude.jsonl");
  train("--method asgd --workers 10 --partition shards:1 --log asgd.jsonl");
  const auto last = records_of(path("asgd.jsonl"), "eval").back();
  const auto classes = records_of(path("asgd.jsonl"), "run").at(0).at("classes");
  ASSERT_EQ(classes.size(), 10U);
  EXPECT_EQ(classes[3].at("name"), "three");
  EXPECT_EQ(classes[3].at("share"), 1.0);
  double sum = 0;
  for (const auto& accuracy : last.at("class_accuracy")) sum += accuracy.get<double>();
  EXPECT_NEAR(sum / 10, last.at("accuracy"), 1e-9);  // all classes have ten images

  const Finished table = tardigrad("table --by-class dude.jsonl asgd.jsonl");
  EXPECT_EQ(table.exit_code, 0) << table.err;
  const std::string three = fmt::format("{:.2f}", 100 * last.at("class_accuracy")[3].get<double>());
  EXPECT_THAT(table.out,
              AllOf(ContainsRegex("accuracy of class +dude 0.05 +asgd 0.05"),
                    ContainsRegex("3 three +[0-9.]+ % +" + three + " % +worker " +
                                  std::to_string(classes[3].at("worker").get<int>()) + " has 100 %")));
}

TEST_F(ClassTable, NamesNoHolderWhereRunsDiffer) {
  train("--method asgd --workers 10 --partition shards:1 --log ten.jsonl");
  train("--method asgd --workers 2 --partition iid --eval-examples 3 --log two.jsonl");
  const Finished table = tardigrad("table --by-class ten.jsonl two.jsonl");
  EXPECT_EQ(table.exit_code, 0) << table.err;
  EXPECT_THAT(table.out, Not(HasSubstr("of its training images")));
  EXPECT_THAT(table.out, ContainsRegex("9 nine +[0-9.]+ % +-\n"));  // of three images none is a nine
}

TEST_F(ClassTable, RefusesLogsWithoutClasses) {
  EXPECT_EQ(tardigrad("train --model quadratic:tridiagonal:10 --workers 2 --method asgd --lr 0.1 --updates 3 "
                      "--clock virtual --compute-time 1,2 --device cpu:1 --log log.jsonl")
                .exit_code,
            0);
  const Finished table = tardigrad("table --by-class log.jsonl");
  EXPECT_EQ(table.exit_code, 2);
  EXPECT_EQ(table.err,
            "tardigrad: log.jsonl: holds no accuracy of classes; expected the log of a network, written by "
            "this version\n");
  write("forged.jsonl", "{\"event\":\"run\",\"method\":\"dude\",\"lr\":1,\"classes\":[3]}\n");
  EXPECT_THAT(tardigrad("table --by-class forged.jsonl").err, HasSubstr("has classes of another form"));
}

}  // namespace
}  // namespace tardigrad
