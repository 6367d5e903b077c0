// Folders of images: what is read, decoded, resized and kept.

#include "data/images/image_folder.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <string>
#include <thread>

#include "data/data_source.h"
#include "data/images/image_file.h"
#include "data/images/resize.h"
#include "data/normalise.h"
#include "tests/data/png_file.h"
#include "tests/support/source_path.h"
#include "tests/support/temporary_file.h"

namespace tardigrad::data {
namespace {

namespace fs = std::filesystem;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class ImageFolder : public ::testing::Test {
 protected:
  void SetUp() override {
    if (readable_images().empty()) GTEST_SKIP() << "built without libpng and libjpeg-turbo";
  }

  /// A grey image of 2 by 2 pixels of one brightness.
  void add(const std::string& path, std::uint8_t brightness) const {
    folder_.write(path, png_file(2, 2, 1, Bytes(4, brightness)));
  }
  void add_cats_and_dogs() const {
    for (std::uint8_t i = 0; i < 10; ++i) {
      add("cat/" + std::to_string(i) + ".png", i);
      add("dog/" + std::to_string(i) + ".png", static_cast<std::uint8_t>(100 + i));
    }
  }

  FolderOfImages read(std::optional<double> test_share = 0, const ImageOptions& options = {}) {
    Reading reading;
    reading.progress = [this](std::size_t, std::size_t) { ++decoded_; };
    reading.say = [this](const std::string& line) { said_ += line + "\n"; };
    decoded_ = 0;
    said_.clear();
    return read_image_folder(folder_.path(), test_share, options, reading);
  }
  std::string refusal(std::optional<double> test_share = 0, const ImageOptions& options = {}) {
    return error_of([&] { read(test_share, options); });
  }

  fs::path cache() const { return cache_folder_.path(); }
  fs::path cache_file() const { return fs::directory_iterator(cache())->path(); }

  TemporaryFolder folder_;
  TemporaryFolder cache_folder_;
  int decoded_ = 0;
  std::string said_;
};

TEST_F(ImageFolder, HasASubfolderAClass) {
  add("b/2.png", 20);
  add("a/9.png", 9);
  add("b/1.png", 10);
  folder_.write("a/.hidden", Bytes{1, 2, 3});
  const FolderOfImages found = read();
  EXPECT_THAT(found.class_names, ElementsAre("a", "b"));
  EXPECT_EQ(found.train.shape, (ImageShape{.channels = 1, .height = 2, .width = 2}));
  EXPECT_THAT(found.train.labels, ElementsAre(0, 1, 1));
  EXPECT_THAT(found.train.pixels, ElementsAre(9, 9, 9, 9, 10, 10, 10, 10, 20, 20, 20, 20));
  EXPECT_EQ(found.test.pixels, found.train.pixels);
  EXPECT_THAT(found.owners, IsEmpty());
}

TEST_F(ImageFolder, TakesTheTestSetBesideTrain) {
  for (const std::string name : {"test", "val", "validation"}) {
    fs::remove_all(folder_.path() / "train");
    add("train/a/1.png", 1);
    add("train/b/2.png", 2);
    add(name + "/a/3.png", 3);
    add(name + "/b/4.png", 4);
    const FolderOfImages found = read(std::nullopt);
    EXPECT_THAT(found.train.labels, ElementsAre(0, 1));
    EXPECT_THAT(found.test.pixels, ElementsAre(3, 3, 3, 3, 4, 4, 4, 4));
    EXPECT_THAT(refusal(0.1), HasSubstr("and there is a test set"));
    add(name + "/c/5.png", 5);
    EXPECT_THAT(refusal(std::nullopt),
                HasSubstr("train: has no class c, expected it as the test set has it"));
    fs::remove_all(folder_.path() / name);
  }
}

TEST_F(ImageFolder, SplitsOffAShareOfEveryClass) {
  add_cats_and_dogs();
  const FolderOfImages found = read(0.2);
  EXPECT_EQ(found.train.size(), 16U);
  EXPECT_THAT(found.test.labels, ElementsAre(0, 0, 1, 1));
  EXPECT_EQ(found.test.pixels, read(0.2).test.pixels);
}

TEST_F(ImageFolder, KnowsWhichWorkerHasWhat) {
  add("worker_1/a/1.png", 1);
  add("worker_0/a/2.png", 2);
  add("worker_0/b/3.png", 3);
  const FolderOfImages found = read();
  EXPECT_THAT(found.owners, ElementsAre(0, 0, 1));
  EXPECT_THAT(found.train.labels, ElementsAre(0, 1, 0));
  add("worker_3/a/1.png", 1);
  EXPECT_THAT(refusal(), HasSubstr("worker_3: expected worker_0 to worker_2 in its place"));
}

TEST_F(ImageFolder, ConvertsColours) {
  folder_.write("a/red.png", png_file(1, 2, 3, {255, 0, 0, 255, 0, 0}));
  folder_.write("b/grey.png", png_file(1, 2, 1, {7, 9}));
  const FolderOfImages rgb = read();
  EXPECT_EQ(rgb.train.shape.channels, 3);
  EXPECT_THAT(rgb.train.pixels, ElementsAre(255, 255, 0, 0, 0, 0, 7, 9, 7, 9, 7, 9));
  const FolderOfImages grey = read(0, {.colour = Colour::grey});
  EXPECT_EQ(grey.train.shape.channels, 1);
  EXPECT_THAT(Bytes(grey.train.pixels.begin() + 2, grey.train.pixels.end()), ElementsAre(7, 9));
}

TEST_F(ImageFolder, ResizesWhereAsked) {
  add("a/1.png", 50);
  folder_.write("b/2.png", png_file(4, 2, 1, {0, 100, 0, 100, 0, 100, 0, 100}));
  EXPECT_THAT(refusal(), HasSubstr("2.png: has 2 by 4 pixels, expected 2 by 2 as"));
  const FolderOfImages found = read(0, {.size = ImageSize{2, 2}});
  EXPECT_THAT(found.train.pixels, ElementsAre(50, 50, 50, 50, 0, 100, 0, 100));
}

TEST_F(ImageFolder, NamesWhatCannotBeDecodedAndGoesOnWhereAsked) {
  add("a/1.png", 1);
  add("b/3.png", 3);
  Bytes cut = png_file(2, 2, 1, Bytes(4, 9));
  cut.resize(cut.size() - 20);
  folder_.write("a/0.png", cut);
  EXPECT_THAT(refusal(), HasSubstr("0.png: cannot be decoded"));
  folder_.write("b/2.png", Bytes{'n', 'o'});
  EXPECT_THAT(refusal(), HasSubstr("2.png: is no image that can be read, expected PNG and JPEG"));
  for (const fs::path& kept_in : {fs::path(), cache()}) {
    const FolderOfImages found = read(0, {.skip_broken = true, .cache = kept_in});
    EXPECT_THAT(found.train.labels, ElementsAre(0, 1));
    EXPECT_THAT(Bytes(found.train.bytes().begin(), found.train.bytes().end()),
                ElementsAre(1, 1, 1, 1, 3, 3, 3, 3));
    EXPECT_THAT(said_, HasSubstr("2 of 4 images cannot be decoded and are left out"));
  }
}

TEST_F(ImageFolder, DecodesOnceAndMapsWhatItKept) {
  add_cats_and_dogs();
  const ImageOptions options{.cache = cache()};
  const FolderOfImages first = read(0.2, options);
  EXPECT_EQ(decoded_, 20);
  const FolderOfImages again = read(0.2, options);
  EXPECT_EQ(decoded_, 0);
  EXPECT_TRUE(again.train.mapped);
  const auto bytes = [](const Images& images) { return Bytes(images.bytes().begin(), images.bytes().end()); };
  EXPECT_EQ(bytes(again.train), bytes(first.train));
  EXPECT_EQ(bytes(again.test), read(0.2).test.pixels);
  EXPECT_EQ(again.test.labels, first.test.labels);
  EXPECT_EQ(again.train.byte_counts, count_bytes(read(0.2).train));
  Images few = again.train;
  few.keep_first(3);
  EXPECT_EQ(few.bytes().size(), 12U);
  EXPECT_TRUE(few.byte_counts.empty());
}

TEST_F(ImageFolder, PixelsOfTheCacheAreReadWhenTheyAreNeededWhereNobodyChecksThem) {
  add_cats_and_dogs();
  const std::uint8_t last = read(0, {.cache = cache()}).train.bytes().back();
  std::string other = testing::read_file(cache_file());
  other.back() ^= 1;
  std::ofstream(cache_file(), std::ios::binary) << other;
  const Images found = read(0, {.cache = cache(), .check_pixels = false}).train;
  EXPECT_EQ(decoded_, 0);
  EXPECT_EQ(found.bytes().back(), last ^ 1);
}

TEST_F(ImageFolder, ACacheOfAnotherVersionIsMadeAnewInSilence) {
  add_cats_and_dogs();
  read(0, {.cache = cache()});
  const std::string whole = testing::read_file(cache_file());
  std::string older = whole;
  older[7] = '1';
  std::ofstream(cache_file(), std::ios::binary) << older;
  read(0, {.cache = cache()});
  EXPECT_EQ(decoded_, 20);
  EXPECT_THAT(said_, IsEmpty());
  EXPECT_TRUE(testing::read_file(cache_file()) == whole);
}

TEST_F(ImageFolder, DecodesAnewWhatHasChanged) {
  add_cats_and_dogs();
  const ImageOptions options{.cache = cache()};
  read(0, options);
  add("cat/0.png", 77);  // the size of its file is another
  fs::last_write_time(folder_.path() / "cat/0.png",
                      fs::file_time_type::clock::now() + std::chrono::seconds(5));
  EXPECT_EQ(read(0, options).train.bytes()[0], 77);
  EXPECT_EQ(decoded_, 20);
  fs::remove(folder_.path() / "dog/3.png");
  EXPECT_EQ(read(0, options).train.size(), 19U);
  EXPECT_EQ(decoded_, 19);
  EXPECT_THAT(said_, IsEmpty());
}

TEST_F(ImageFolder, ADamagedCacheIsSaidAndMadeAnew) {
  add_cats_and_dogs();
  const ImageOptions options{.cache = cache()};
  read(0, options);
  const std::string whole = testing::read_file(cache_file());
  const auto damage = [&](const std::string& bytes, const std::string& trouble) {
    std::ofstream(cache_file(), std::ios::binary) << bytes;
    EXPECT_EQ(read(0, options).train.size(), 20U);
    EXPECT_EQ(decoded_, 20) << trouble;
    EXPECT_THAT(said_, HasSubstr(trouble + "; the images are decoded anew"));
    EXPECT_TRUE(testing::read_file(cache_file()) == whole);
  };
  damage("TGIMAGE0", "it is no cache of images");
  damage(whole.substr(0, 40), "it is no cache of images");
  damage(whole.substr(0, whole.size() - 1), "it is cut short");
  std::string other = whole;
  other.back() ^= 1;
  damage(other, "its pixels are damaged");
  other = whole;
  other[81] ^= 1;
  damage(other, "its header or its labels are damaged");
  other = whole;
  other[40] = 100;  // the number of images
  damage(other, "its header is damaged");
}

TEST_F(ImageFolder, WhereNoCacheCanBeWrittenItStaysInMemory) {
  add_cats_and_dogs();
  cache_folder_.write("file", Bytes{1});
  const FolderOfImages found = read(0, {.cache = cache() / "file" / "below"});
  EXPECT_EQ(found.train.pixels.size(), 80U);
  EXPECT_THAT(said_, HasSubstr("cannot be written"));
}

TEST_F(ImageFolder, FoldersWithoutImagesAreNamed) {
  EXPECT_THAT(refusal(), HasSubstr("has no subfolders, expected one for each class"));
  fs::create_directory(folder_.path() / "a");
  EXPECT_THAT(refusal(), HasSubstr("a: has no images, expected some of the class"));
  EXPECT_THAT(error_of([] { read_image_folder("no/where", 0, {}, {}); }),
              HasSubstr("no/where: cannot be read"));
}

// What works on pieces from several threads gives the same.
TEST_F(ImageFolder, DoesNotDependOnThreads) {
  for (int i = 0; i < 200; ++i) {
    add("c" + std::to_string(i % 3) + "/" + std::to_string(i) + ".png", static_cast<std::uint8_t>(i));
  }
  const FolderOfImages alone = read();
  Reading reading;
  reading.share_out = [](std::size_t count, const std::function<void(std::size_t)>& work) {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < count; ++i) threads.emplace_back([&work, i] { work(i); });
  };
  EXPECT_EQ(read_image_folder(folder_.path(), 0, {}, reading).train.pixels, alone.train.pixels);
}

TEST_F(ImageFolder, ReadsJpegAndTransparentPng) {
  const auto decode = [](const std::string& name, const ImageShape& shape) {
    const std::string file = testing::read_file(testing::source_path("tests/fuzz/seeds/image_file/" + name));
    const Bytes bytes(file.begin(), file.end());
    return decode_image(name, bytes, shape);
  };
  const Bytes colours = decode("two_colours.jpg", {.channels = 3, .height = 8, .width = 16});
  EXPECT_NEAR(colours[0], 200, 4);  // JPEG loses some
  EXPECT_NEAR(colours[15], 0, 4);
  EXPECT_NEAR(colours[2 * 128 + 15], 200, 4);
  EXPECT_NEAR(decode("grey.jpg", {.channels = 1, .height = 8, .width = 8})[7], 210, 6);
  EXPECT_THAT(decode("transparent.png", {.channels = 3, .height = 2, .width = 2}),
              ElementsAre(255, 0, 0, 0, 0, 255, 0, 0, 0, 0, 255, 0));
  EXPECT_THAT(error_of([&] { decode("grey.jpg", {.channels = 1, .height = 8, .width = 9}); }),
              HasSubstr("has 8 by 8 pixels, expected 9 by 8"));
}

TEST_F(ImageFolder, IsADataSet) {
  add_cats_and_dogs();
  const Dataset dataset = load_data({.dataset = "folder:" + folder_.path().string(), .test_share = 0});
  EXPECT_EQ(dataset.classes, 2);
  EXPECT_THAT(dataset.class_names, ElementsAre("cat", "dog"));
  EXPECT_NEAR(dataset.normalisation.mean.at(0), 54.5 / 255, 1e-6);
  fs::remove_all(folder_.path() / "cat");
  EXPECT_THAT(error_of([&] { load_data({.dataset = "folder:" + folder_.path().string()}); }),
              HasSubstr("one class, dog; expected at least two"));
}

TEST(Resize, KeepsWhatIsConstantAndMeansWhatShrinks) {
  const ImageShape large{.channels = 2, .height = 6, .width = 4};
  EXPECT_THAT(resize(Bytes(48, 77), large, {.channels = 2, .height = 9, .width = 2}), Each(77));
  const Bytes halves = {0, 0, 100, 100, 0, 0, 100, 100};
  EXPECT_THAT(
      resize(halves, {.channels = 1, .height = 2, .width = 4}, {.channels = 1, .height = 1, .width = 1}),
      ElementsAre(50));
  // Linear between the centres of the old pixels, and as they are beyond the outermost.
  EXPECT_THAT(
      resize({0, 100}, {.channels = 1, .height = 1, .width = 2}, {.channels = 1, .height = 1, .width = 4}),
      ElementsAre(0, 25, 75, 100));
  EXPECT_EQ(
      resize(halves, {.channels = 1, .height = 2, .width = 4}, {.channels = 1, .height = 2, .width = 4}),
      halves);
}

}  // namespace
}  // namespace tardigrad::data
