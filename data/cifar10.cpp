#include "data/cifar10.h"

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

#include "data/byte_reader.h"

namespace tardigrad::data {
namespace {

constexpr ImageShape image_shape{.channels = 3, .height = 32, .width = 32};
constexpr std::size_t record_bytes = 3073;
constexpr std::size_t most_records = 10'000;  // of every published file
constexpr int classes_of_cifar10 = 10;

[[noreturn]] void refuse(const std::filesystem::path& path, const std::string& reason) {
  throw std::invalid_argument(fmt::format("{}: {}", path.string(), reason));
}

/// Record by record: a file of other things, however long, is refused at the first of them.
void append_batch(Images& images, const std::filesystem::path& path) {
  ByteReader reader(path);
  std::size_t count = 0;
  auto record = reader.read(record_bytes);
  for (; record.size() == record_bytes; record = reader.read(record_bytes), ++count) {
    if (count == most_records) refuse(path, fmt::format("goes on after {} records, expected no more", count));
    if (record[0] >= classes_of_cifar10) {
      refuse(path, fmt::format("label {} of record {} (counted from 0), expected 0 to {}", record[0], count,
                               classes_of_cifar10 - 1));
    }
    images.labels.push_back(record[0]);
    images.pixels.insert(images.pixels.end(), record.begin() + 1, record.end());
  }
  if (count == 0 || !record.empty()) {
    refuse(path, fmt::format("holds {} bytes, expected one or more whole records of {}",
                             count * record_bytes + record.size(), record_bytes));
  }
}

}  // namespace

Images read_cifar10(const std::vector<std::filesystem::path>& paths) {
  Images images{.shape = image_shape, .pixels = {}, .labels = {}};
  for (const std::filesystem::path& path : paths) append_batch(images, path);
  return images;
}

}  // namespace tardigrad::data
