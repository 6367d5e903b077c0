#include "data/formats/idx.h"

#include <gmock/gmock.h>

#include <cstddef>
#include <string>

#include "tests/data/temporary_folder.h"

namespace tardigrad::data {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class Idx : public ::testing::Test {
 protected:
  std::string error_of_file(const Bytes& bytes, int rank = 1) {
    const auto path = folder_.write("file", bytes);
    std::string message = error_of([&] { read_idx(path, rank); });
    EXPECT_THAT(message, AllOf(HasSubstr(path.string() + ": "), HasSubstr("expected"), Not(HasSubstr("\n"))));
    return message;
  }

  TemporaryFolder folder_;
};

TEST_F(Idx, ReadsPlainAndGzippedFilesAlike) {
  const Bytes values = counting(24);
  const Bytes file = idx_file({2, 3, 4}, values);
  for (const auto& path : {folder_.write("plain", file), folder_.write_gz("zipped.gz", file)}) {
    const IdxArray array = read_idx(path, 3);
    EXPECT_THAT(array.dimensions, ElementsAre(2, 3, 4)) << path;
    EXPECT_EQ(array.values, values) << path;
  }
}

TEST_F(Idx, ReadsMoreThanOneChunk) {
  const Bytes values = counting((5 << 20) / 2);
  const Bytes file = idx_file({static_cast<std::uint32_t>(values.size())}, values);
  EXPECT_EQ(read_idx(folder_.write("plain", file), 1).values, values);
  EXPECT_EQ(read_idx(folder_.write_gz("zipped.gz", file), 1).values, values);
}

TEST_F(Idx, RefusesWrongMagic) {
  EXPECT_THAT(error_of_file({0x12, 0x34, 0x56, 0x78, 0, 0, 0, 1, 7}),
              HasSubstr("starts with 0x12345678, expected 0x00000801"));
  // Images given where labels belong.
  EXPECT_THAT(error_of_file(idx_file({1, 1, 1}, {0})),
              HasSubstr("starts with 0x00000803, expected 0x00000801"));
}

TEST_F(Idx, RefusesHeaderCutShort) {
  EXPECT_THAT(error_of_file({}), HasSubstr("ends after 0 bytes, expected an IDX header of 8"));
  EXPECT_THAT(error_of_file({0, 0}), HasSubstr("ends after 2 bytes, expected an IDX header of 8"));
  EXPECT_THAT(error_of_file({0, 0, 8, 3, 0, 0, 0, 1, 0}, 3),
              HasSubstr("ends after 9 bytes, expected an IDX header of 16"));
}

TEST_F(Idx, RefusesEmptyDimension) {
  EXPECT_THAT(error_of_file(idx_file({2, 0, 3}, {}), 3), HasSubstr("dimension 2 of its header is 0"));
}

TEST_F(Idx, RefusesTruncatedValues) {
  EXPECT_THAT(error_of_file(idx_file({2, 2, 2}, counting(7)), 3),
              HasSubstr("holds at most 7 values, expected 2×2×2"));
}

TEST_F(Idx, RefusesTrailingBytes) {
  EXPECT_THAT(error_of_file(idx_file({2}, counting(3))),
              HasSubstr("goes on after its last value, expected 2"));
}

TEST_F(Idx, RefusesHeaderThatPromisesMoreThanMemoryHolds) {
  // 2^62 bytes, which nothing can allocate, and 2^64, which 64 bits take for 0.
  const auto large = folder_.write("large", idx_file({0x80000000, 0x80000000, 1}, counting(10)));
  EXPECT_THAT(error_of([&] { read_idx(large, 3); }), HasSubstr("large: holds at most 10 values"));
  const Bytes huge = idx_file({0x80000000, 0x80000000, 4}, counting(10));
  EXPECT_THAT(error_of_file(huge, 3), HasSubstr("holds at most 10 values, expected 2147483648×2147483648×4"));
  const auto zipped = folder_.write_gz("huge.gz", huge);
  EXPECT_THAT(error_of([&] { read_idx(zipped, 3); }), HasSubstr("huge.gz: holds at most "));
}

TEST_F(Idx, RefusesDamagedGzip) {
  const Bytes file = idx_file({5000}, counting(5000));
  const auto path = folder_.write_gz("zipped.gz", file);
  std::filesystem::resize_file(path, std::filesystem::file_size(path) / 2);
  EXPECT_THAT(error_of([&] { read_idx(path, 1); }), HasSubstr("zipped.gz: cannot be read"));

  // A wrong check sum: all values are there and fit the header, only the trailer tells.
  const auto wrong_sum = folder_.write_gz("sum.gz", file);
  std::fstream bytes(wrong_sum, std::ios::in | std::ios::out | std::ios::binary);
  bytes.seekp(-8, std::ios::end);
  bytes.write("\0\0\0\0", 4);
  bytes.close();
  EXPECT_THAT(error_of([&] { read_idx(wrong_sum, 1); }), HasSubstr("sum.gz: cannot be read"));
}

TEST_F(Idx, RefusesWhatIsNoFile) {
  EXPECT_THAT(error_of([&] { read_idx(folder_.path(), 1); }), HasSubstr("is a folder, expected a file"));
  EXPECT_THAT(error_of([&] { read_idx(folder_.path() / "absent", 1); }),
              HasSubstr("absent: cannot be opened: No such file"));
}

TEST_F(Idx, JoinsImagesAndLabels) {
  const auto images = folder_.write("images", idx_file({3, 2, 4}, counting(24)));
  const auto labels = folder_.write("labels", idx_file({3}, {9, 0, 5}));
  const Images read = read_idx_images(images, labels, 10);
  EXPECT_EQ(read.shape, (ImageShape{.channels = 1, .height = 2, .width = 4}));
  EXPECT_EQ(read.size(), 3U);
  EXPECT_EQ(read.pixels, counting(24));
  EXPECT_THAT(read.labels, ElementsAre(9, 0, 5));
}

TEST_F(Idx, LeavesPixelsInPlainFilesThatAreMapped) {
  const Bytes file = idx_file({3, 2, 4}, counting(24));
  const auto labels = folder_.write("labels", idx_file({3}, {9, 0, 5}));
  const auto read = [&](const std::filesystem::path& images) {
    return read_idx_images(images, labels, 10, PixelAccess::mapped);
  };
  const Images mapped = read(folder_.write("images", file));
  EXPECT_TRUE(mapped.pixels.empty());
  EXPECT_EQ(Bytes(mapped.bytes().begin(), mapped.bytes().end()), counting(24));
  EXPECT_EQ(mapped.shape, (ImageShape{.channels = 1, .height = 2, .width = 4}));
  EXPECT_THAT(mapped.labels, ElementsAre(9, 0, 5));
  EXPECT_EQ(read(folder_.write_gz("images.gz", file)).pixels, counting(24));
  const Bytes cut(file.begin(), file.end() - 1);
  EXPECT_THAT(error_of([&] { read(folder_.write("cut", cut)); }), HasSubstr("as its header says"));
}

TEST_F(Idx, RefusesLabelsThatDoNotFitTheImages) {
  const auto images = folder_.write("images", idx_file({3, 1, 1}, counting(3)));
  const auto few = folder_.write("few", idx_file({2}, {0, 1}));
  EXPECT_THAT(error_of([&] { read_idx_images(images, few, 10); }),
              AllOf(HasSubstr("few: holds 2 labels, expected 3"), HasSubstr("images")));
  const auto wrong = folder_.write("wrong", idx_file({3}, {0, 9, 10}));
  EXPECT_THAT(error_of([&] { read_idx_images(images, wrong, 10); }),
              HasSubstr("wrong: label 10 of example 2 (counted from 0), expected 0 to 9"));
}

TEST_F(Idx, RefusesImagesWithEndlessSides) {
  const auto images = folder_.write("images", idx_file({1, 1, 65536}, Bytes(65536)));
  const auto labels = folder_.write("labels", idx_file({1}, {0}));
  EXPECT_THAT(error_of([&] { read_idx_images(images, labels, 10); }),
              HasSubstr("images: its images have 65536 pixels on a side, expected at most 65535"));
}

}  // namespace
}  // namespace tardigrad::data
