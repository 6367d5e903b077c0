#include "data/dataset.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <map>
#include <optional>
#include <string>

#include "tests/data/temporary_folder.h"

namespace tardigrad::data {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

const Bytes train_images = idx_file({3, 2, 2}, counting(12));
const Bytes train_labels = idx_file({3}, {2, 0, 1});
const Bytes test_images = idx_file({2, 2, 2}, counting(8, 100));
const Bytes test_labels = idx_file({2}, {9, 4});

void expect_small_set(const Dataset& dataset) {
  EXPECT_EQ(dataset.classes, 10);
  EXPECT_EQ(dataset.train.shape, (ImageShape{.channels = 1, .height = 2, .width = 2}));
  EXPECT_EQ(dataset.train.pixels, counting(12));
  EXPECT_THAT(dataset.train.labels, ElementsAre(2, 0, 1));
  EXPECT_EQ(dataset.test.pixels, counting(8, 100));
  EXPECT_THAT(dataset.test.labels, ElementsAre(9, 4));
}

TEST(Dataset, LoadsPlainIdxFiles) {
  const TemporaryFolder folder;
  folder.write("train-images-idx3-ubyte", train_images);
  folder.write("train-labels-idx1-ubyte", train_labels);
  folder.write("t10k-images-idx3-ubyte", test_images);
  folder.write("t10k-labels-idx1-ubyte", test_labels);
  const Dataset dataset = load_dataset("fashion-mnist", folder.path());
  expect_small_set(dataset);
  EXPECT_EQ(dataset.name, "fashion-mnist");
  EXPECT_THAT(dataset.normalisation.mean, ElementsAre(0.2860F));
  EXPECT_THAT(dataset.normalisation.deviation, ElementsAre(0.3530F));
}

TEST(Dataset, LoadsOtherSpellingsAndGzip) {
  const TemporaryFolder folder;
  folder.write_gz("train-images-idx3-ubyte.gz", train_images);
  folder.write("train-labels.idx1-ubyte", train_labels);
  folder.write("t10k-images.idx3-ubyte", test_images);
  folder.write_gz("t10k-labels.idx1-ubyte.gz", test_labels);
  const Dataset dataset = load_dataset("mnist", folder.path());
  expect_small_set(dataset);
  EXPECT_THAT(dataset.normalisation.mean, ElementsAre(0.1307F));
  EXPECT_THAT(dataset.normalisation.deviation, ElementsAre(0.3081F));
}

TEST(Dataset, RefusesTestImagesOfAnotherShape) {
  const TemporaryFolder folder;
  folder.write("train-images-idx3-ubyte", train_images);
  folder.write("train-labels-idx1-ubyte", train_labels);
  folder.write("t10k-images-idx3-ubyte", idx_file({2, 1, 4}, counting(8)));
  folder.write("t10k-labels-idx1-ubyte", test_labels);
  EXPECT_THAT(error_of([&] { load_dataset("mnist", folder.path()); }),
              AllOf(HasSubstr(folder.path().string()), HasSubstr("test images are 1×4, expected 2×2")));
}

TEST(Dataset, LoadsCifar10FromFolderOrArchiveSubfolder) {
  for (const std::string subfolder : {"", "cifar-10-batches-bin/"}) {
    const TemporaryFolder folder;
    for (std::uint8_t batch = 1; batch <= 5; ++batch) {
      folder.write(subfolder + "data_batch_" + std::to_string(batch) + ".bin", cifar10_record(batch));
    }
    folder.write(subfolder + "test_batch.bin", cifar10_record(9));
    const Dataset dataset = load_dataset("cifar10", folder.path());
    EXPECT_THAT(dataset.train.labels, ElementsAre(1, 2, 3, 4, 5));
    EXPECT_THAT(dataset.test.labels, ElementsAre(9));
    EXPECT_EQ(dataset.train.shape.size(), 3072U);
    EXPECT_THAT(dataset.normalisation.mean, ElementsAre(0.4914F, 0.4822F, 0.4465F));
    EXPECT_THAT(dataset.normalisation.deviation, ElementsAre(0.2470F, 0.2435F, 0.2616F));
  }
}

TEST(Dataset, LoadsCifar100WithTheNamesThatLieBesideIt) {
  const TemporaryFolder folder;
  Bytes record = {19};  // the coarse label
  const Bytes fine = cifar10_record(73);
  record.insert(record.end(), fine.begin(), fine.end());
  folder.write("cifar-100-binary/train.bin", record);
  folder.write("cifar-100-binary/test.bin", record);
  EXPECT_TRUE(load_dataset("cifar100", folder.path()).class_names.empty());
  std::string names;
  for (int i = 0; i < 100; ++i) names += "class " + std::to_string(i) + "\n";
  folder.write("cifar-100-binary/fine_label_names.txt", Bytes(names.begin(), names.end()));
  const Dataset dataset = load_dataset("cifar100", folder.path());
  EXPECT_EQ(dataset.classes, 100);
  EXPECT_THAT(dataset.train.labels, ElementsAre(73));
  EXPECT_EQ(dataset.train.pixels, Bytes(fine.begin() + 1, fine.end()));
  EXPECT_EQ(dataset.class_names.at(73), "class 73");
}

TEST(Dataset, LooksWhereTorchvisionHasIt) {
  const TemporaryFolder folder;
  folder.write("MNIST/raw/train-images-idx3-ubyte", train_images);
  folder.write("MNIST/raw/train-labels-idx1-ubyte", train_labels);
  folder.write("MNIST/raw/t10k-images-idx3-ubyte", test_images);
  folder.write("MNIST/raw/t10k-labels-idx1-ubyte", test_labels);
  expect_small_set(load_dataset("mnist", folder.path()));
}

TEST(Dataset, NamesTheMissingFileAndHowToFetchIt) {
  const TemporaryFolder folder;
  folder.write("train-images-idx3-ubyte", train_images);
  const std::string path = folder.path().string();
  EXPECT_THAT(error_of([&] { load_dataset("mnist", folder.path()); }),
              AllOf(HasSubstr(path + "/train-labels-idx1-ubyte: no such file"),
                    HasSubstr("tools/fetch_data.sh mnist '" + path + "'"), Not(HasSubstr("\n"))));
  EXPECT_THAT(error_of([&] { load_dataset("cifar10", folder.path()); }),
              HasSubstr(path + "/data_batch_1.bin: no such file"));
}

TEST(Dataset, ListsTheKnownNames) {
  EXPECT_THAT(dataset_names(), ElementsAre("fashion-mnist", "mnist", "cifar10", "cifar100"));
  EXPECT_EQ(error_of([] { load_dataset("minst", "/"); }),
            "unknown data set 'minst'; expected one of fashion-mnist mnist cifar10 cifar100");
}

using Variables = std::map<std::string, std::optional<std::string>>;

/// Sets environment variables, or unsets those without a value, until the end of the scope.
class Environment {
 public:
  explicit Environment(const Variables& wanted) {
    for (const auto& [name, value] : wanted) {
      const char* const old = std::getenv(name.c_str());
      before_[name] = old == nullptr ? std::nullopt : std::optional<std::string>(old);
    }
    set(wanted);
  }
  ~Environment() { set(before_); }
  Environment(const Environment&) = delete;
  Environment(Environment&&) = delete;
  Environment& operator=(const Environment&) = delete;
  Environment& operator=(Environment&&) = delete;

 private:
  static void set(const Variables& values) {
    for (const auto& [name, value] : values) {
      if (value) {
        setenv(name.c_str(), value->c_str(), 1);
      } else {
        unsetenv(name.c_str());
      }
    }
  }

  Variables before_;
};

TEST(Dataset, DefaultFolderFollowsTheEnvironment) {
  {
    const Environment all(
        Variables{{"TARDIGRAD_DATA", "/data"}, {"XDG_CACHE_HOME", "/cache"}, {"HOME", "/home/me"}});
    EXPECT_EQ(default_data_dir("mnist"), "/data/mnist");
  }
  {
    const Environment cache(
        Variables{{"TARDIGRAD_DATA", ""}, {"XDG_CACHE_HOME", "/cache"}, {"HOME", "/home/me"}});
    EXPECT_EQ(default_data_dir("mnist"), "/cache/tardigrad/mnist");
  }
  const Environment home(Variables{{"TARDIGRAD_DATA", {}}, {"XDG_CACHE_HOME", {}}, {"HOME", "/home/me"}});
  EXPECT_EQ(default_data_dir("mnist"), "/home/me/.cache/tardigrad/mnist");
  const Environment nothing(Variables{{"HOME", {}}});
  EXPECT_THAT(error_of([] { default_data_dir("mnist"); }), HasSubstr("TARDIGRAD_DATA"));
}

}  // namespace
}  // namespace tardigrad::data
