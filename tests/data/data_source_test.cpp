#include "data/data_source.h"

#include <gmock/gmock.h>

#include <cmath>
#include <string>

#include "data/normalise.h"
#include "tests/data/npy_file.h"

namespace tardigrad::data {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::FloatEq;
using ::testing::HasSubstr;
using ::testing::Pointwise;

class OwnData : public ::testing::Test {
 protected:
  std::string path(const std::string& name) const { return (folder_.path() / name).string(); }
  std::string write(const std::string& name, const std::string& text) const {
    return folder_.write(name, bytes_of(text)).string();
  }
  /// 20 rows, every second of class 1, with the number of the row as the only feature.
  std::string twenty_rows() const {
    std::string text = "y,x\n";
    for (int i = 0; i < 20; ++i) text += std::to_string(i % 2) + "," + std::to_string(i) + "\n";
    return "csv:" + write("rows.csv", text) + ",label=y";
  }
  std::string refusal(const DataSource& source) const {
    return error_of([&] { load_data(source); });
  }

  TemporaryFolder folder_;
};

TEST_F(OwnData, ATenthOfEveryClassBecomesTheTestSet) {
  const Dataset dataset = load_data({.dataset = twenty_rows(), .normalise = "none"});
  EXPECT_EQ(dataset.train.size(), 18U);
  EXPECT_EQ(dataset.test.labels.size(), 2U);
  EXPECT_THAT(dataset.test.labels, ::testing::UnorderedElementsAre(0, 1));
  std::vector<float> all = dataset.train.values;
  all.insert(all.end(), dataset.test.values.begin(), dataset.test.values.end());
  std::ranges::sort(all);
  for (std::size_t i = 0; i < all.size(); ++i) EXPECT_EQ(all[i], static_cast<float>(i));
  for (std::size_t i = 0; i < dataset.train.size(); ++i) {
    EXPECT_EQ(static_cast<int>(dataset.train.values[i]) % 2, dataset.train.labels[i]);
  }
  EXPECT_TRUE(std::ranges::is_sorted(dataset.train.values));
  EXPECT_EQ(load_data({.dataset = twenty_rows(), .normalise = "none"}).test.values, dataset.test.values);
}

TEST_F(OwnData, TheTestShareIsAsAsked) {
  EXPECT_EQ(load_data({.dataset = twenty_rows(), .test_share = 0.5}).test.size(), 10U);
  const Dataset same = load_data({.dataset = twenty_rows(), .test_share = 0});
  EXPECT_EQ(same.test.values, same.train.values);
  EXPECT_EQ(same.test.size(), 20U);
  EXPECT_THAT(refusal({.dataset = twenty_rows(), .test_share = 0.01}),
              HasSubstr("leaves 20 to train on and 0 to test on; expected at least one of each"));
  EXPECT_THAT(refusal({.dataset = "csv:" + write("a", "y,x\n0,1\n1,2\n") + ",label=y,test=" + path("a"),
                       .test_share = 0.1}),
              HasSubstr("the data have a test set of their own"));
}

TEST_F(OwnData, FeaturesAreNormalisedEachByItself) {
  const std::string file = write("rows.csv", "y,a,b,c\n0,1,10,5\n1,3,10,-5\n");
  const std::string test = write("test.csv", "y,a,b,c\n1,2,12,0\n");
  const Dataset dataset = load_data({.dataset = "csv:" + file + ",label=y,test=" + test});
  EXPECT_THAT(dataset.train.values, ElementsAre(-1, 0, 1, 1, 0, -1));
  EXPECT_THAT(dataset.test.values, ElementsAre(0, 2, 0));  // b never varies in training
  EXPECT_THAT(dataset.normalisation.mean, ElementsAre(0));
  EXPECT_THAT(dataset.normalisation.deviation, ElementsAre(1));
}

TEST_F(OwnData, PixelsStayBytesAndAreMeasuredByChannel) {
  folder_.write("x.npy",
                npy_of<std::uint8_t>("|u1", "(2, 1, 2, 3)", {0, 0, 51, 255, 51, 51, 0, 51, 51, 255, 0, 51}));
  folder_.write("y.npy", npy_of<std::uint8_t>("|u1", "(2,)", {4, 2}));
  const std::string source = "npy:" + path("x.npy") + "," + path("y.npy");
  const Dataset dataset = load_data({.dataset = source, .test_share = 0});
  EXPECT_THAT(dataset.train.pixels, ElementsAre(0, 255, 0, 51, 51, 51, 0, 255, 51, 0, 51, 51));
  EXPECT_THAT(dataset.class_names, ElementsAre("2", "4"));
  EXPECT_THAT(dataset.train.labels, ElementsAre(1, 0));
  EXPECT_THAT(dataset.normalisation.mean, Pointwise(FloatEq(), std::vector<float>{0.5F, 0.1F, 0.2F}));
  EXPECT_THAT(dataset.normalisation.deviation, Pointwise(FloatEq(), std::vector<float>{0.5F, 0.1F, 1}));
  const auto given = [&](const std::string& how) {
    return load_data({.dataset = source, .test_share = 0, .normalise = how}).normalisation;
  };
  EXPECT_THAT(given("none").mean, Each(0));
  EXPECT_THAT(given("none").deviation, Each(1));
  EXPECT_THAT(given("0.5:0.25").mean, ElementsAre(0.5F, 0.5F, 0.5F));
  EXPECT_THAT(given("0.1,0.2,0.3:0.4,0.5,0.6").deviation, ElementsAre(0.4F, 0.5F, 0.6F));
  for (const std::string how : {"0.5", "0.5:0", "0.5:-1", "1,2:1", "x:1", "usual", "1:1,2", "nan:1"}) {
    EXPECT_THAT(refusal({.dataset = source, .test_share = 0, .normalise = how}),
                AllOf(HasSubstr("normalisation '" + how + "'"), HasSubstr("expected measured, none, or")));
  }
}

TEST_F(OwnData, LibsvmIsLeftAsItIsAndAsWideAsBothFiles) {
  const std::string train = write("train", "-1 1:2\n+1 2:4\n");
  const std::string test = write("test", "+1 3:8\n");
  const Dataset dataset = load_data({.dataset = "libsvm:" + train + "," + test});
  EXPECT_EQ(dataset.train.shape.width, 3);
  EXPECT_THAT(dataset.train.values, ElementsAre(2, 0, 0, 0, 4, 0));
  EXPECT_THAT(dataset.test.values, ElementsAre(0, 0, 8));
  EXPECT_THAT(dataset.test.labels, ElementsAre(1));
}

TEST_F(OwnData, TestSetsOfOtherClassesOrShapesAreRefused) {
  const std::string train = write("train", "0 1:2\n1 2:4\n");
  EXPECT_THAT(refusal({.dataset = "libsvm:" + train + "," + write("test", "2 1:1\n")}),
              HasSubstr("class 2 of the test set is not in the training set, which has 0, 1"));
  const std::string csv = write("a.csv", "y,a\n0,1\n1,2\n");
  EXPECT_THAT(refusal({.dataset = "csv:" + csv + ",label=y,test=" + write("b.csv", "y,a,b\n0,1,2\n")}),
              HasSubstr("examples of the test set are 1×1×2, expected 1×1×1 as in training"));
  EXPECT_THAT(refusal({.dataset = "libsvm:" + write("one", "1 1:1\n1 1:2\n")}),
              HasSubstr("one class, 1; expected at least two"));
}

TEST_F(OwnData, FindsTheFilesOfAnIdxSet) {
  folder_.write("emnist/emnist-letters-train-images-idx3-ubyte", idx_file({3, 2, 2}, counting(12)));
  folder_.write("emnist/emnist-letters-train-labels-idx1-ubyte", idx_file({3}, {26, 1, 3}));
  folder_.write("emnist/emnist-letters-test-images-idx3-ubyte", idx_file({1, 2, 2}, counting(4)));
  folder_.write_gz("emnist/emnist-letters-test-images-idx3-ubyte.gz", idx_file({1, 2, 2}, counting(4)));
  folder_.write("emnist/emnist-letters-test-labels-idx1-ubyte", idx_file({1}, {3}));
  const Dataset dataset = load_data({.dataset = "idx:" + path("emnist")});
  EXPECT_THAT(dataset.class_names, ElementsAre("1", "3", "26"));
  EXPECT_THAT(dataset.train.labels, ElementsAre(2, 0, 1));
  EXPECT_THAT(dataset.test.labels, ElementsAre(1));
  folder_.write("emnist/emnist-digits-train-images-idx3-ubyte", idx_file({3, 2, 2}, counting(12)));
  EXPECT_THAT(refusal({.dataset = "idx:" + path("emnist")}),
              HasSubstr("expected one: idx:FOLDER/PREFIX says which"));
  EXPECT_EQ(load_data({.dataset = "idx:" + path("emnist/emnist-letters")}).train.size(), 3U);
  EXPECT_THAT(refusal({.dataset = "idx:" + path("emnist/emnist-digits")}),
              HasSubstr("no file emnist-digits*train*labels*idx*, expected the files of an IDX set"));
  EXPECT_THAT(refusal({.dataset = "idx:" + path("nowhere/at/all")}), HasSubstr("no such folder"));
}

// Its labels are integers, eight an example, of which the first is the class.
TEST_F(OwnData, ReadsQmnist) {
  Bytes labels = {0, 0, 0x0c, 2, 0, 0, 0, 2, 0, 0, 0, 2};
  for (const std::uint8_t label : {5, 1}) {
    for (const std::uint8_t word : {label, std::uint8_t{77}}) labels.insert(labels.end(), {0, 0, 0, word});
  }
  for (const std::string set : {"train", "test"}) {
    folder_.write("qmnist-" + set + "-images-idx3-ubyte", idx_file({2, 1, 2}, counting(4)));
    folder_.write("qmnist-" + set + "-labels-idx2-int", labels);
  }
  EXPECT_THAT(load_data({.dataset = "idx:" + folder_.path().string()}).class_names, ElementsAre("1", "5"));
}

TEST_F(OwnData, SaysHowEachKindIsGiven) {
  EXPECT_THAT(refusal({.dataset = "npy:x.npy"}), HasSubstr("expected npy:X.npy,Y.npy[,XTEST.npy,YTEST.npy]"));
  EXPECT_THAT(refusal({.dataset = "csv:x.csv"}), HasSubstr("expected csv:FILE,label=COLUMN[,test=FILE]"));
  EXPECT_THAT(refusal({.dataset = "libsvm:a,b,c"}), HasSubstr("expected libsvm:FILE[,TESTFILE]"));
  EXPECT_THAT(refusal({.dataset = "parquet:a"}), HasSubstr("unknown kind of data 'parquet'"));
  EXPECT_THAT(refusal({.dataset = "libsvm:nowhere"}), HasSubstr("nowhere: cannot be opened"));
}

}  // namespace
}  // namespace tardigrad::data
