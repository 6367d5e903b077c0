#include "data/formats/cifar.h"

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

#include "data/formats/byte_reader.h"
#include "data/formats/pickle.h"
#include "data/refuse_file.h"

namespace tardigrad::data {
namespace {

constexpr ImageShape image_shape{.channels = 3, .height = 32, .width = 32};

/// Record by record: a file of other things, however long, is refused at the first of them.
void append_batch(Images& images, const std::filesystem::path& path, const CifarRecords& records) {
  ByteReader reader(path);
  const auto label_bytes = static_cast<std::size_t>(records.label_bytes);
  const std::size_t record_bytes = label_bytes + image_shape.size();
  std::size_t count = 0;
  auto record = reader.read(record_bytes);
  for (; record.size() == record_bytes; record = reader.read(record_bytes), ++count) {
    if (count == records.most) {
      refuse_file(path, fmt::format("goes on after {} records, expected no more", count));
    }
    const std::uint8_t label = record[label_bytes - 1];
    if (label >= records.classes) {
      refuse_file(path, fmt::format("label {} of record {} (counted from 0), expected 0 to {}", label, count,
                                    records.classes - 1));
    }
    images.labels.push_back(label);
    images.pixels.insert(images.pixels.end(), record.begin() + records.label_bytes, record.end());
  }
  if (count == 0 || !record.empty()) {
    refuse_file(path, fmt::format("holds {} bytes, expected one or more whole records of {}",
                                  count * record_bytes + record.size(), record_bytes));
  }
}

/// The bytes of NumPy's array: the last member of its state, which is (version, shape, type, order, bytes).
std::string_view array_bytes(const std::filesystem::path& path, const PickleValue* array) {
  using Kind = PickleValue::Kind;
  const bool is_array = array && array->kind == Kind::object && array->members.size() == 3 &&
                        array->members[2]->kind == Kind::tuple && array->members[2]->members.size() == 5 &&
                        array->members[2]->members[4]->kind == Kind::text;
  if (!is_array) refuse_file(path, "has no array of NumPy under data, expected the images");
  return array->members[2]->members[4]->text;
}

void append_pickle(Images& images, const std::filesystem::path& path, const CifarRecords& records) {
  const Pickle pickle(path);
  const PickleValue* labels = pickle.value().at(records.label_bytes == 1 ? "labels" : "fine_labels");
  const std::string_view bytes = array_bytes(path, pickle.value().at("data"));
  if (labels == nullptr || labels->kind != PickleValue::Kind::list || labels->members.empty() ||
      bytes.size() != labels->members.size() * image_shape.size()) {
    refuse_file(path,
                fmt::format("has not as many labels as images, expected a label for every {} bytes of data",
                            image_shape.size()));
  }
  for (const PickleValue* label : labels->members) {
    if (label->kind != PickleValue::Kind::number || label->number < 0 || label->number >= records.classes) {
      refuse_file(path, fmt::format("label {} of image {} (counted from 0), expected 0 to {}", label->number,
                                    images.size(), records.classes - 1));
    }
    images.labels.push_back(static_cast<Label>(label->number));
  }
  images.pixels.insert(images.pixels.end(), bytes.begin(), bytes.end());
}

}  // namespace

Images read_cifar(const std::vector<std::filesystem::path>& paths, const CifarRecords& records) {
  Images images{.shape = image_shape, .pixels = {}, .labels = {}};
  for (const std::filesystem::path& path : paths) append_batch(images, path, records);
  return images;
}

Images read_cifar_pickles(const std::vector<std::filesystem::path>& paths, const CifarRecords& records) {
  Images images{.shape = image_shape, .pixels = {}, .labels = {}};
  for (const std::filesystem::path& path : paths) append_pickle(images, path, records);
  return images;
}

std::vector<std::string> read_cifar_names(const std::filesystem::path& meta, const std::string& key) {
  const Pickle pickle(meta);
  const PickleValue* names = pickle.value().at(key);
  if (names == nullptr) refuse_file(meta, fmt::format("has no {}, expected the names of the classes", key));
  std::vector<std::string> result;
  for (const PickleValue* name : names->members) result.emplace_back(name->text);
  return result;
}

}  // namespace tardigrad::data
