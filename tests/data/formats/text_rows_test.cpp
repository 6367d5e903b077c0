// Rows of numbers in text: LIBSVM's and comma-separated ones, and how their classes are numbered.

#include <gmock/gmock.h>

#include <string>

#include "data/formats/class_names.h"
#include "data/formats/csv.h"
#include "data/formats/libsvm.h"
#include "tests/data/temporary_folder.h"

namespace tardigrad::data {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class TextRows : public ::testing::Test {
 protected:
  std::filesystem::path write(const std::string& text) const { return folder_.write("rows", bytes_of(text)); }
  SparseRows libsvm(const std::string& text) const { return read_libsvm(write(text)); }
  NamedExamples csv(const std::string& text, const std::string& label = "y") const {
    return read_csv(write(text), label);
  }
  std::string libsvm_refusal(const std::string& text) const {
    return error_of([&] { libsvm(text); });
  }
  std::string csv_refusal(const std::string& text, const std::string& label = "y") const {
    return error_of([&] { csv(text, label); });
  }

  TemporaryFolder folder_;
};

TEST_F(TextRows, LibsvmHasOnlyTheFeaturesThatAreNamed) {
  const SparseRows rows = libsvm("+1 1:0.5 4:-2e1 # a comment\n\n-1\n+1\t2:3\r\n");
  EXPECT_EQ(rows.features, 4U);
  EXPECT_THAT(rows.class_names, ElementsAre("-1", "1"));
  const NamedExamples dense = rows.dense(5);
  EXPECT_EQ(dense.images.shape, (ImageShape{.channels = 1, .height = 1, .width = 5}));
  EXPECT_THAT(dense.images.labels, ElementsAre(1, 0, 1));
  EXPECT_THAT(dense.images.values, ElementsAre(0.5F, 0, 0, -20, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0));
}

TEST_F(TextRows, LibsvmMayBeGzipped) {
  const TemporaryFolder folder;
  EXPECT_EQ(read_libsvm(folder.write_gz("rows.gz", bytes_of("0 1:1\n1 1:2\n"))).labels.size(), 2U);
}

TEST_F(TextRows, LibsvmNamesTheLineThatIsWrong) {
  EXPECT_THAT(libsvm_refusal("1 1:1\n1 0:1\n"), HasSubstr("rows:2: '0:1', expected INDEX:VALUE"));
  EXPECT_THAT(libsvm_refusal("1 2:1 2:3\n"), HasSubstr("rows:1: index 2 comes after 2, expected ascending"));
  EXPECT_THAT(libsvm_refusal("1 3:1 2:3\n"), HasSubstr("rows:1: index 2 comes after 3, expected ascending"));
  for (const std::string word : {"x:1", "1:x", "1", "1:", ":1", "1:nan", "1:1e99", "-1:1", "4294967296:1"}) {
    EXPECT_THAT(libsvm_refusal("1 " + word),
                AllOf(HasSubstr("'" + word + "', expected INDEX:VALUE"), Not(HasSubstr("\n"))));
  }
  EXPECT_THAT(libsvm_refusal("1:2 3:4\n"), HasSubstr("begins with '1:2', expected a label"));
  EXPECT_THAT(libsvm_refusal("# nothing\n\n"), HasSubstr("no rows, expected lines LABEL INDEX:VALUE"));
}

TEST_F(TextRows, DenseRowsThatFitIntoNoMemoryAreRefused) {
  SparseRows rows = libsvm("0 1:1\n1 1000000000:1\n");
  rows.labels.resize(1'000'000);
  EXPECT_THAT(
      error_of([&] { rows.dense(rows.features); }),
      HasSubstr("1000000 examples with 1000000000 features take 3725290.3 GiB, expected no more than"));
}

TEST_F(TextRows, CsvFindsTheLabelByNameOrNumber) {
  const NamedExamples named = csv("a,y,b\n1,cat,2.5\n-3e1,dog,4\n");
  EXPECT_THAT(named.class_names, ElementsAre("cat", "dog"));
  EXPECT_THAT(named.images.labels, ElementsAre(0, 1));
  EXPECT_THAT(named.images.values, ElementsAre(1, 2.5F, -30, 4));
  EXPECT_EQ(named.images.shape.width, 2);
  EXPECT_THAT(csv("5,1\n6,0\n", "2").images.values, ElementsAre(5, 6));
  EXPECT_THAT(csv("x,target\n5,1\n6,0\n", "2").images.values, ElementsAre(5, 6));  // below a heading
  EXPECT_THAT(csv("1;2\n3;4\n", "1").images.values, ElementsAre(2, 4));
  EXPECT_THAT(csv("1\t2\n3\t4\n", "1").images.values, ElementsAre(2, 4));
}

TEST_F(TextRows, CsvKnowsQuotes) {
  const NamedExamples rows = csv("\"a\",\"y\"\r\n\"1.5\",\"one, \"\"two\"\"\nthree\"\r\n\n 2 , z \r\n");
  EXPECT_THAT(rows.class_names, ElementsAre("one, \"two\"\nthree", "z"));
  EXPECT_THAT(rows.images.values, ElementsAre(1.5F, 2));
}

TEST_F(TextRows, CsvNamesLineAndColumn) {
  EXPECT_THAT(csv_refusal("a,y\n1,p\nx,q\n"), HasSubstr("rows:3: 'x' in column 1 ('a'), expected a number"));
  EXPECT_THAT(csv_refusal("a,y\n,p\n"), HasSubstr("rows:2: '' in column 1 ('a'), expected a number"));
  EXPECT_THAT(csv_refusal("a,y\n1,\"p\nq\"\nx,r\n"), HasSubstr("rows:4: 'x' in column 1 ('a')"));
  EXPECT_THAT(csv_refusal("a,y\n1,p\n1,q,r\n"),
              HasSubstr("rows:3: 3 columns, expected 2 as in the first row"));
  EXPECT_THAT(csv_refusal("a,y\n1,\n"), HasSubstr("rows:2: nothing in column 2 ('y'), expected a label"));
  EXPECT_THAT(
      csv_refusal("a,b\n1,2\n"),
      HasSubstr("no column 'y', expected a name in the first row, such as 'b', or a number from 1 to 2"));
  EXPECT_THAT(csv_refusal("1,2\n", "3"), HasSubstr("no column '3'"));
  EXPECT_THAT(csv_refusal("y\n1\n"), HasSubstr("one column, expected a label and at least one feature"));
  EXPECT_THAT(csv_refusal("a,y\n"), HasSubstr("no rows behind the names of the columns"));
  EXPECT_THAT(csv_refusal(""), HasSubstr("no rows, expected some"));
  EXPECT_THAT(csv_refusal("a,y\n\"1,p\n"), HasSubstr("its quotes never close"));
}

TEST(ClassNames, AreSortedByValueWhereAllAreNumbers) {
  const auto sorted = [](const std::vector<std::string>& names) {
    ClassNames classes;
    std::vector<Label> labels;
    for (const std::string& name : names) labels.push_back(classes.add(name));
    return std::pair(classes.sort(labels), labels);
  };
  const auto [numbers, labels] = sorted({"10", "+9", "-1", "9.0", "1e1"});
  EXPECT_THAT(numbers, ElementsAre("-1", "9", "10"));
  EXPECT_THAT(labels, ElementsAre(2, 1, 0, 1, 2));
  EXPECT_THAT(sorted({"10", "9", "x"}).first, ElementsAre("10", "9", "x"));
}

}  // namespace
}  // namespace tardigrad::data
