#include "data/cifar10.h"

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <stdexcept>

#include "data/byte_reader.h"

namespace tardigrad::data {
namespace {

constexpr ImageShape image_shape{.channels = 3, .height = 32, .width = 32};
constexpr std::size_t record_bytes = 3073;
constexpr int class_count = 10;

void append_batch(Images& images, const std::filesystem::path& path) {
  const auto bytes = ByteReader(path).read(std::numeric_limits<std::uint64_t>::max());
  if (bytes.empty() || bytes.size() % record_bytes != 0) {
    throw std::invalid_argument(fmt::format("{}: holds {} bytes, expected one or more whole records of {}",
                                            path.string(), bytes.size(), record_bytes));
  }
  for (std::size_t at = 0; at < bytes.size(); at += record_bytes) {
    const auto record = std::span(bytes).subspan(at, record_bytes);
    if (record[0] >= class_count) {
      throw std::invalid_argument(fmt::format("{}: label {} of record {} (counted from 0), expected 0 to {}",
                                              path.string(), record[0], at / record_bytes, class_count - 1));
    }
    images.labels.push_back(record[0]);
    images.pixels.insert(images.pixels.end(), record.begin() + 1, record.end());
  }
}

}  // namespace

Images read_cifar10(const std::vector<std::filesystem::path>& paths) {
  Images images{.shape = image_shape, .pixels = {}, .labels = {}};
  for (const std::filesystem::path& path : paths) append_batch(images, path);
  return images;
}

}  // namespace tardigrad::data
