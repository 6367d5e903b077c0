#include "data/formats/npy.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <span>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "data/formats/byte_reader.h"
#include "data/formats/number_text.h"
#include "data/mapped_file.h"
#include "data/refuse_file.h"

namespace tardigrad::data {
namespace {

using Path = std::filesystem::path;

constexpr std::size_t longest_header = 65536;
constexpr std::size_t most_dimensions = 32;  // NumPy's own limit for long
constexpr std::size_t most_numbers = std::numeric_limits<std::size_t>::max() / sizeof(double);

struct NpyHeader {
  std::string text;
  std::size_t bytes;  // before the numbers
};

NpyHeader read_npy_header(ByteReader& reader) {
  constexpr std::string_view magic = "\x93NUMPY";
  const auto begin = reader.read(8);
  const bool right =
      begin.size() == 8 && std::equal(magic.begin(), magic.end(), begin.begin(),
                                      [](char a, auto b) { return static_cast<std::uint8_t>(a) == b; });
  if (!right) refuse_file(reader.path(), "not a .npy file, expected one that begins with \\x93NUMPY");
  const std::size_t length_bytes = begin[6] == 1 ? 2 : 4;
  const auto length = reader.read(length_bytes);
  std::size_t header_bytes = 0;
  for (std::size_t i = 0; i < length.size(); ++i) header_bytes |= std::size_t{length[i]} << 8 * i;
  const auto header =
      header_bytes <= longest_header ? reader.read(header_bytes) : std::vector<std::uint8_t>();
  if (length.size() < length_bytes || header.size() < header_bytes) {
    refuse_file(reader.path(), "its header is cut short, expected that of a .npy file");
  }
  return {{header.begin(), header.end()}, begin.size() + length.size() + header.size()};
}

/// What stands behind 'key': in a header, from there on.
std::string_view behind(const Path& path, std::string_view header, const std::string& key) {
  const std::size_t at = header.find("'" + key + "':");
  if (at == header.npos) refuse_file(path, fmt::format("its header has no '{}', expected one", key));
  return trimmed(header.substr(at + key.size() + 3));
}

std::vector<std::size_t> parse_shape(const Path& path, std::string_view text) {
  const std::size_t end = text.find(')');
  if (!text.starts_with('(') || end == text.npos) {
    refuse_file(path, "its header has no shape, expected (N, …)");
  }
  text = text.substr(1, end - 1);
  std::vector<std::size_t> shape;
  while (!(text = trimmed(text)).empty()) {
    std::size_t size = 0;
    const auto [stopped, error] = std::from_chars(text.data(), text.data() + text.size(), size);
    if (error != std::errc{}) refuse_file(path, "its shape is not made of numbers, expected (N, …)");
    shape.push_back(size);
    if (shape.size() > most_dimensions) {
      refuse_file(path, fmt::format("more than {} dimensions", most_dimensions));
    }
    text = trimmed(text.substr(static_cast<std::size_t>(stopped - text.data())));
    if (text.starts_with(',')) text.remove_prefix(1);
  }
  return shape;
}

std::size_t product(const Path& path, const std::vector<std::size_t>& shape) {
  std::size_t count = 1;
  for (const std::size_t size : shape) {
    if (size != 0 && count > most_numbers / size) refuse_file(path, "its shape is larger than any memory");
    count *= size;
  }
  return count;
}

/// Calls visit(Number()) with the type that NumPy calls so; false where there is none.
template <typename Visit>
bool visit_type(std::string_view type, const Visit& visit) {
  if (type == "|u1" || type == "|b1") return visit(std::uint8_t()), true;
  if (type == "|i1") return visit(std::int8_t()), true;
  if (type == "<u2") return visit(std::uint16_t()), true;
  if (type == "<i2") return visit(std::int16_t()), true;
  if (type == "<u4") return visit(std::uint32_t()), true;
  if (type == "<i4") return visit(std::int32_t()), true;
  if (type == "<u8") return visit(std::uint64_t()), true;
  if (type == "<i8") return visit(std::int64_t()), true;
  if (type == "<f4") return visit(float()), true;
  if (type == "<f8") return visit(double()), true;
  return false;
}

/// All but the numbers.
NpyArray describe_array(ByteReader& reader) {
  const Path& path = reader.path();
  const auto [text, bytes] = read_npy_header(reader);
  NpyArray array;
  array.header_bytes = bytes;
  const std::string_view type = behind(path, text, "descr");
  if (type.starts_with('\'')) array.type = type.substr(1, type.find('\'', 1) - 1);
  if (!visit_type(array.type, [](auto) {})) {
    refuse_file(path, fmt::format("holds {}, expected whole numbers, float32 or float64, little-endian",
                                  in_quotes(array.type)));
  }
  if (!behind(path, text, "fortran_order").starts_with("False")) {
    refuse_file(path, "is in Fortran's order, expected C's (numpy.ascontiguousarray)");
  }
  array.shape = parse_shape(path, behind(path, text, "shape"));
  static_cast<void>(product(path, array.shape));  // which refuses what no memory holds
  return array;
}

/// The numbers of an array that has been described, behind that.
void read_numbers(ByteReader& reader, NpyArray& array) {
  std::size_t number_bytes = 0;
  visit_type(array.type, [&](auto number) { number_bytes = sizeof(number); });
  const std::size_t wanted = product(reader.path(), array.shape) * number_bytes;
  if (wanted <= reader.most_bytes()) array.bytes = reader.read(wanted);
  if (array.bytes.size() < wanted || !reader.at_end()) {
    refuse_file(reader.path(),
                fmt::format("its numbers are not {} bytes, expected as many for shape ({}) of {}", wanted,
                            fmt::join(array.shape, ", "), array.type));
  }
}

template <typename Number>
Number number_at(const NpyArray& array, std::size_t i) {
  Number number;
  std::memcpy(&number, array.bytes.data() + i * sizeof(Number), sizeof(Number));
  return number;
}

/// How the dimensions of one example stand in an array.
struct Layout {
  ImageShape shape;
  bool channels_last = false;
};

bool are_channels(std::size_t count) { return count == 1 || count == 3 || count == 4; }

Layout layout_of(const Path& path, const std::vector<std::size_t>& shape) {
  const auto side = [&](std::size_t i) {
    const bool row = shape.size() == 2;  // of features, of which there may be more
    if (shape[i] == 0 || shape[i] > (row ? std::size_t{1} << 30 : std::size_t{most_side})) {
      refuse_file(path, fmt::format("shape ({}), expected at least 1 and at most {} on a side",
                                    fmt::join(shape, ", "), most_side));
    }
    return static_cast<int>(shape[i]);
  };
  if (shape.size() == 2) return {{.channels = 1, .height = 1, .width = side(1)}};
  if (shape.size() == 3) return {{.channels = 1, .height = side(1), .width = side(2)}};
  if (shape.size() == 4 && are_channels(shape[3])) {
    return {{.channels = side(3), .height = side(1), .width = side(2)}, true};
  }
  if (shape.size() == 4 && are_channels(shape[1])) {
    return {{.channels = side(1), .height = side(2), .width = side(3)}};
  }
  refuse_file(
      path,
      fmt::format("shape ({}), expected (N, features), (N, height, width), or the latter with 1, 3 or 4 "
                  "channels behind N or at the end",
                  fmt::join(shape, ", ")));
}

/// Element i of the examples in the order channel, row, column lies there in the array.
std::size_t place_in(const Layout& layout, std::size_t i) {
  if (!layout.channels_last) return i;
  const std::size_t size = layout.shape.size();
  const auto channels = static_cast<std::size_t>(layout.shape.channels);
  const std::size_t pixels = size / channels;
  return i / size * size + i % pixels * channels + i % size / pixels;
}

template <typename Number>
std::vector<float> floats_of(const Path& path, const NpyArray& array, const Layout& layout) {
  std::vector<float> values(array.bytes.size() / sizeof(Number));
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(number_at<Number>(array, place_in(layout, i)));
    if (!std::isfinite(values[i])) {
      refuse_file(path, fmt::format("{} in example {} (counted from 0), expected finite numbers", values[i],
                                    i / layout.shape.size()));
    }
  }
  return values;
}

/// Those of an array that has been described.
Images read_examples(ByteReader& reader, NpyArray& array, PixelAccess access) {
  const Path& path = reader.path();
  const Layout layout = layout_of(path, array.shape);
  Images images{.shape = layout.shape};
  if (access == PixelAccess::mapped && array.type == "|u1" && !layout.channels_last) {
    images.mapped_from = array.header_bytes;
    images.mapped = map_plain_file(path, array.header_bytes, product(path, array.shape));
    if (images.mapped) return images;
  }
  read_numbers(reader, array);
  if (array.type == "|u1" && !layout.channels_last) {
    images.pixels = std::move(array.bytes);
  } else if (array.type == "|u1") {
    images.pixels.resize(array.bytes.size());
    for (std::size_t i = 0; i < images.pixels.size(); ++i) {
      images.pixels[i] = array.bytes[place_in(layout, i)];
    }
  } else if (array.type == "<f4") {
    images.values = floats_of<float>(path, array, layout);
  } else if (array.type == "<f8") {
    images.values = floats_of<double>(path, array, layout);
  } else {
    refuse_file(path,
                fmt::format("holds {}, expected uint8 (|u1), float32 (<f4) or float64 (<f8)", array.type));
  }
  return images;
}

void read_labels(const Path& path, const NpyArray& array, NamedExamples& examples) {
  if (array.shape.size() != 1) {
    refuse_file(path, fmt::format("shape ({}), expected (N) labels", fmt::join(array.shape, ", ")));
  }
  if (array.type.find('f') != array.type.npos) {
    refuse_file(path, fmt::format("holds {}, expected whole numbers", array.type));
  }
  ClassNames classes;
  visit_type(array.type, [&]<typename Number>(Number) {
    for (std::size_t i = 0; i < array.shape[0]; ++i) {
      try {
        examples.images.labels.push_back(classes.add(fmt::format("{}", number_at<Number>(array, i))));
      } catch (const std::length_error& error) {
        refuse_file(path, error.what());
      }
    }
  });
  examples.class_names = classes.sort(examples.images.labels);
}

}  // namespace

NpyArray read_npy(const Path& path) {
  ByteReader reader(path);
  NpyArray array = describe_array(reader);
  read_numbers(reader, array);
  return array;
}

NamedExamples read_npy_examples(const Path& examples_path, const Path& labels_path, PixelAccess access) {
  NamedExamples examples;
  ByteReader reader(examples_path);
  NpyArray array = describe_array(reader);
  examples.images = read_examples(reader, array, access);
  read_labels(labels_path, read_npy(labels_path), examples);
  if (examples.images.size() != array.shape[0] || array.shape[0] == 0) {
    refuse_file(labels_path,
                fmt::format("holds {} labels, expected {} as {} holds examples, and at least one",
                            examples.images.size(), array.shape[0], examples_path.string()));
  }
  return examples;
}

}  // namespace tardigrad::data
