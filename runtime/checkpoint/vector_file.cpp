#include "runtime/checkpoint/vector_file.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>
#include <vector>

#include "runtime/checkpoint/safetensors.h"

namespace tardigrad {

VectorFile::VectorFile(std::filesystem::path path, std::size_t dimension)
    : path_(std::move(path)), dimension_(dimension), file_(path_, std::ios::binary) {
  const SafetensorsContents contents = read_safetensors_header(path_, file_, file_bytes(path_, file_));
  for (const auto& [name, value] : contents.header->items()) {
    tensors_[name] = tensor(name, read_safetensors_entry(path_, contents, name), contents);
  }
}

void VectorFile::refuse(const std::string& name, const std::string& expected) const {
  throw std::invalid_argument(fmt::format("{}: tensor \"{}\": expected {}", path_.string(), name, expected));
}

VectorFile::Tensor VectorFile::tensor(const std::string& name, const SafetensorsEntry& entry,
                                      const SafetensorsContents& contents) const {
  const auto& [dtype, shape, offsets] = entry;
  if (dtype != "F32" && dtype != "BF16") refuse(name, "F32 or BF16");
  Tensor tensor{dtype == "F32" ? ElementType::f32 : ElementType::bf16, 1, 0};
  if (shape.empty() || shape.size() > 2 || !std::cmp_equal(shape.back(), dimension_)) {
    refuse(name, fmt::format("vectors of {} elements", dimension_));
  }
  if (shape.size() == 2) tensor.rows = static_cast<std::size_t>(shape.front());
  const std::uint64_t row_bytes = dimension_ * element_bytes(tensor.type);
  if (offsets.size() != 2 || offsets[0] > offsets[1] || offsets[1] > contents.data_bytes ||
      tensor.rows > contents.data_bytes / row_bytes || offsets[1] - offsets[0] != tensor.rows * row_bytes) {
    refuse(name, "data_offsets of all its elements, within the file");
  }
  tensor.begin = contents.data_begin + offsets[0];
  return tensor;
}

bool VectorFile::has(const std::string& name, ElementType type, std::size_t rows) const {
  const auto found = tensors_.find(name);
  return found != tensors_.end() && found->second.type == type && found->second.rows == rows;
}

void VectorFile::read(const std::string& name, std::size_t row, std::span<float> values, std::size_t begin) {
  read_bytes(name, row, ElementType::f32, std::as_writable_bytes(values), begin);
}

void VectorFile::read(const std::string& name, std::size_t row, std::span<Bf16> values, std::size_t begin) {
  read_bytes(name, row, ElementType::bf16, std::as_writable_bytes(values), begin);
}

void VectorFile::read_bytes(const std::string& name, std::size_t row, ElementType type,
                            std::span<std::byte> bytes, std::size_t begin) {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) refuse(name, "it to be there");
  const Tensor& tensor = found->second;
  const std::size_t count = bytes.size() / element_bytes(type);
  if (tensor.type != type || row >= tensor.rows || begin > dimension_ || count > dimension_ - begin) {
    refuse(name, fmt::format("{} with more than {} rows", dtype_of(type), row));
  }
  const std::uint64_t first = row * dimension_ + begin;
  file_.seekg(static_cast<std::streamoff>(tensor.begin + first * element_bytes(type)));
  file_.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  if (!file_) refuse(name, "bytes that can be read");
}

}  // namespace tardigrad
