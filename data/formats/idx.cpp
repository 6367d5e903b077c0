#include "data/formats/idx.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>

#include "data/formats/byte_reader.h"
#include "data/mapped_file.h"

namespace tardigrad::data {
namespace {

constexpr std::uint32_t magic_of_bytes = 0x0800;
constexpr std::uint32_t magic_of_ints = 0x0c00;
constexpr std::size_t word_bytes = 4;

std::uint32_t big_endian(std::span<const std::uint8_t> bytes) {
  std::uint32_t value = 0;
  for (const std::uint8_t byte : bytes.first(word_bytes)) value = value << 8 | byte;
  return value;
}

/// Product of the dimensions; the largest integer stands for any product beyond it.
std::uint64_t count_values(const std::vector<std::uint32_t>& dimensions) {
  constexpr std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t count = 1;
  for (const std::uint32_t dimension : dimensions) {
    count = count > most / dimension ? most : count * dimension;
  }
  return count;
}

/// "60000×28×28"
std::string describe(const std::vector<std::uint32_t>& dimensions) {
  std::string text;
  for (const std::uint32_t dimension : dimensions) {
    text += fmt::format("{}{}", text.empty() ? "" : "×", dimension);
  }
  return text;
}

std::vector<std::uint32_t> read_header(ByteReader& reader, std::uint32_t magic_of_type, int rank) {
  const std::string file = reader.path().string();
  const std::vector<std::uint8_t> magic = reader.read(word_bytes);
  const std::uint32_t expected_magic = magic_of_type + static_cast<std::uint32_t>(rank);
  if (magic.size() == word_bytes && big_endian(magic) != expected_magic) {
    throw std::invalid_argument(fmt::format("{}: starts with 0x{:08x}, expected 0x{:08x} (IDX, {}, rank {})",
                                            file, big_endian(magic), expected_magic,
                                            magic_of_type == magic_of_bytes ? "bytes" : "integers", rank));
  }
  const std::size_t rest_bytes = static_cast<std::size_t>(rank) * word_bytes;
  const std::vector<std::uint8_t> rest = reader.read(rest_bytes);
  if (magic.size() + rest.size() < word_bytes + rest_bytes) {
    throw std::invalid_argument(fmt::format("{}: ends after {} bytes, expected an IDX header of {}", file,
                                            magic.size() + rest.size(), word_bytes + rest_bytes));
  }
  std::vector<std::uint32_t> dimensions;
  for (std::size_t at = 0; at < rest_bytes; at += word_bytes) {
    dimensions.push_back(big_endian(std::span(rest).subspan(at)));
    if (dimensions.back() == 0) {
      throw std::invalid_argument(
          fmt::format("{}: dimension {} of its header is 0, expected at least 1", file, dimensions.size()));
    }
  }
  return dimensions;
}

void check_labels(const std::filesystem::path& path, std::span<const Label> labels, int classes) {
  const auto wrong = std::ranges::find_if(labels, [&](Label label) { return label >= classes; });
  if (wrong != labels.end()) {
    throw std::invalid_argument(fmt::format("{}: label {} of example {} (counted from 0), expected 0 to {}",
                                            path.string(), *wrong, wrong - labels.begin(), classes - 1));
  }
}

void check_side(const std::filesystem::path& path, std::uint32_t pixels) {
  if (std::cmp_less_equal(pixels, most_side)) return;
  throw std::invalid_argument(fmt::format("{}: its images have {} pixels on a side, expected at most {}",
                                          path.string(), pixels, most_side));
}

/// Reads all values of a type of so many bytes.
IdxArray read_array(const std::filesystem::path& path, std::uint32_t magic_of_type, std::uint64_t type_bytes,
                    int rank) {
  ByteReader reader(path);
  IdxArray array{.dimensions = read_header(reader, magic_of_type, rank), .values = {}};
  const std::uint64_t promised_values = count_values(array.dimensions);
  const bool countable = promised_values <= std::numeric_limits<std::uint64_t>::max() / type_bytes;
  const std::uint64_t promised = countable ? promised_values * type_bytes : promised_values;
  const std::uint64_t header_bytes = word_bytes * (1 + array.dimensions.size());
  const std::uint64_t most = reader.most_bytes() - header_bytes;
  if (promised > most) {
    throw std::invalid_argument(fmt::format("{}: holds at most {} values, expected {} as its header says",
                                            path.string(), most, describe(array.dimensions)));
  }
  array.values = reader.read(promised);
  if (array.values.size() < promised) {
    throw std::invalid_argument(fmt::format("{}: holds {} values, expected {} as its header says",
                                            path.string(), array.values.size(), describe(array.dimensions)));
  }
  if (!reader.at_end()) {
    throw std::invalid_argument(
        fmt::format("{}: goes on after its last value, expected {} values as its header says", path.string(),
                    describe(array.dimensions)));
  }
  return array;
}

/// Those of QMNIST are integers, eight an example, the first of which is the class.
std::vector<Label> read_integer_labels(const std::filesystem::path& path) {
  const IdxArray array = read_array(path, magic_of_ints, word_bytes, 2);
  const std::size_t stride = word_bytes * array.dimensions[1];
  std::vector<Label> labels;
  for (std::size_t at = 0; at < array.values.size(); at += stride) {
    const std::uint32_t label = big_endian(std::span(array.values).subspan(at));
    if (label >= most_classes) {
      throw std::invalid_argument(fmt::format("{}: label {} of example {} (counted from 0), expected 0 to {}",
                                              path.string(), label, labels.size(), most_classes - 1));
    }
    labels.push_back(static_cast<Label>(label));
  }
  return labels;
}

std::vector<Label> read_labels(const std::filesystem::path& path) {
  if (path.filename().string().find("idx2-int") != std::string::npos) return read_integer_labels(path);
  const IdxArray array = read_idx(path, 1);
  return {array.values.begin(), array.values.end()};
}

/// An array of images.
struct ImageArray {
  std::vector<std::uint32_t> dimensions;
  Images images;  // without shape and labels
};

ImageArray read_image_array(const std::filesystem::path& path, PixelAccess access) {
  constexpr int rank = 3;
  if (access == PixelAccess::mapped) {
    ByteReader reader(path);
    ImageArray array{.dimensions = read_header(reader, magic_of_bytes, rank), .images = {}};
    array.images.mapped_from = word_bytes * (1 + array.dimensions.size());
    array.images.mapped = map_plain_file(path, array.images.mapped_from, count_values(array.dimensions));
    if (array.images.mapped) return array;
  }
  IdxArray array = read_idx(path, rank);
  return {.dimensions = std::move(array.dimensions),
          .images = {.shape = {}, .pixels = std::move(array.values)}};
}

}  // namespace

IdxArray read_idx(const std::filesystem::path& path, int rank) {
  return read_array(path, magic_of_bytes, 1, rank);
}

Images read_idx_images(const std::filesystem::path& images_path, const std::filesystem::path& labels_path,
                       int classes, PixelAccess access) {
  ImageArray array = read_image_array(images_path, access);
  std::vector<Label> labels = read_labels(labels_path);
  if (array.dimensions[0] != labels.size()) {
    throw std::invalid_argument(fmt::format("{}: holds {} labels, expected {} as {} holds images",
                                            labels_path.string(), labels.size(), array.dimensions[0],
                                            images_path.string()));
  }
  check_labels(labels_path, labels, classes);
  for (const std::size_t side : {1, 2}) check_side(images_path, array.dimensions[side]);
  array.images.shape = {.channels = 1,
                        .height = static_cast<int>(array.dimensions[1]),
                        .width = static_cast<int>(array.dimensions[2])};
  array.images.labels = std::move(labels);
  return std::move(array.images);
}

}  // namespace tardigrad::data
