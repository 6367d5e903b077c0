#include "data/formats/cifar.h"

#include <gmock/gmock.h>

#include <cstddef>
#include <string>

#include "tests/data/temporary_folder.h"

namespace tardigrad::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Bytes records(const std::vector<std::uint8_t>& labels) {
  Bytes bytes;
  for (const std::uint8_t label : labels) {
    const Bytes record = cifar10_record(label);
    bytes.insert(bytes.end(), record.begin(), record.end());
  }
  return bytes;
}

TEST(Cifar10, JoinsFilesInTheirOrder) {
  const TemporaryFolder folder;
  const Images images = read_cifar(
      {folder.write("a.bin", records({3, 9})), folder.write_gz("b.bin", records({0}))}, cifar10_records);
  EXPECT_EQ(images.shape, (ImageShape{.channels = 3, .height = 32, .width = 32}));
  EXPECT_THAT(images.labels, ElementsAre(3, 9, 0));
  ASSERT_EQ(images.pixels.size(), 3 * images.shape.size());
  for (std::size_t i = 0; i < images.size(); ++i) {
    const Bytes record = records({static_cast<std::uint8_t>(images.labels[i])});
    const auto image = std::span(images.pixels).subspan(i * images.shape.size(), images.shape.size());
    EXPECT_EQ(Bytes(image.begin(), image.end()), Bytes(record.begin() + 1, record.end())) << "image " << i;
  }
}

TEST(Cifar10, RefusesFilesThatAreNotWholeRecords) {
  const TemporaryFolder folder;
  Bytes cut = records({1, 2});
  cut.pop_back();
  const auto path = folder.write("cut.bin", cut);
  EXPECT_THAT(error_of([&] { read_cifar({path}, cifar10_records); }),
              HasSubstr(path.string() + ": holds 6145 bytes, expected one or more whole records of 3073"));
  EXPECT_THAT(error_of([&] { read_cifar({folder.write("empty.bin", {})}, cifar10_records); }),
              HasSubstr("empty.bin: holds 0 bytes"));
}

// Thirty kilobytes that would unpack to any number of records, all of them good.
TEST(Cifar10, RefusesMoreRecordsThanAnyFileOfTheSetHas) {
  const TemporaryFolder folder;
  const auto path = folder.write_gz("bomb.gz", Bytes(10'001 * 3073));
  EXPECT_THAT(error_of([&] { read_cifar({path}, cifar10_records); }),
              HasSubstr("goes on after 10000 records, expected no more"));
}

TEST(Cifar10, RefusesLabelOutOfRange) {
  const TemporaryFolder folder;
  const auto path = folder.write("batch.bin", records({0, 9, 10}));
  EXPECT_THAT(error_of([&] { read_cifar({path}, cifar10_records); }),
              HasSubstr(path.string() + ": label 10 of record 2 (counted from 0), expected 0 to 9"));
}

}  // namespace
}  // namespace tardigrad::data
