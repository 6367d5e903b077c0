#include "runtime/checkpoint/safetensors.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "runtime/base/json_text.h"
#include "runtime/base/output_path.h"
#include "runtime/base/refuse_file.h"

namespace tardigrad {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors are little-endian");

using Json = nlohmann::ordered_json;
using Contents = SafetensorsContents;

void write_bytes(std::ofstream& file, const void* data, std::size_t bytes) {
  file.write(static_cast<const char*>(data), static_cast<std::streamsize>(bytes));
}

}  // namespace

std::string safetensors_header(const SafetensorsContents::Json& tensors) {
  std::string text = json_text(tensors);
  text.append((8 - text.size() % 8) % 8, ' ');  // the data begin on 8 bytes
  const std::uint64_t length = text.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof(length)) + text;
}

SafetensorsContents::Json safetensors_entry(const char* dtype, const std::vector<std::int64_t>& shape,
                                            std::uint64_t begin, std::uint64_t bytes) {
  return {{"dtype", dtype}, {"shape", shape}, {"data_offsets", {begin, begin + bytes}}};
}

std::string safetensors_header(const ParameterLayout& layout) {
  Json tensors;
  for (const TensorSpec& tensor : layout.tensors()) {
    tensors[tensor.name] = safetensors_entry("F32", tensor.shape, tensor.offset * sizeof(float),
                                             tensor.elements() * sizeof(float));
  }
  return safetensors_header(tensors);
}

std::uint64_t file_bytes(const std::filesystem::path& path, const std::istream& file) {
  std::error_code error;
  const std::uint64_t bytes = std::filesystem::file_size(path, error);
  if (!file || error) refuse_file(path, fmt::format("cannot be read: {}", std::strerror(errno)));
  return bytes;
}

SafetensorsContents read_safetensors_header(const std::filesystem::path& path, std::istream& file,
                                            std::uint64_t file_bytes) {
  std::uint64_t header_bytes = 0;
  if (!file.read(reinterpret_cast<char*>(&header_bytes), sizeof(header_bytes))) {
    refuse_file(path, "not a safetensors file: shorter than 8 bytes");
  }
  if (header_bytes > file_bytes - sizeof(header_bytes)) {
    refuse_file(
        path, fmt::format("not a safetensors file, or cut short: its header claims {} bytes, the file has {}",
                          header_bytes, file_bytes));
  }
  std::string text(header_bytes, '\0');
  file.read(text.data(), static_cast<std::streamsize>(header_bytes));
  Json header = parse_json<Json>(text);
  if (!header.is_object()) refuse_file(path, "not a safetensors file: its header is not a JSON object");
  header.erase("__metadata__");
  Contents contents;
  contents.header = std::make_shared<const Json>(std::move(header));
  contents.data_begin = sizeof(header_bytes) + header_bytes;
  contents.data_bytes = file_bytes - contents.data_begin;
  return contents;
}

SafetensorsEntry read_safetensors_entry(const std::filesystem::path& path,
                                        const SafetensorsContents& contents, const std::string& name) {
  const auto entry = contents.header->find(name);
  if (entry == contents.header->end()) refuse_file(path, fmt::format("has no tensor \"{}\"", name));
  try {
    return {.dtype = json_member(*entry, "dtype"),
            .shape = json_member(*entry, "shape"),
            .offsets = json_member(*entry, "data_offsets")};
  } catch (const std::invalid_argument&) {
    refuse_file(path, fmt::format("tensor \"{}\": expected dtype, shape and data_offsets", name));
  }
}

std::string describe_shape(std::span<const std::int64_t> shape) {
  constexpr std::size_t most = 8;
  return fmt::format("{}{}", fmt::join(shape.first(std::min(most, shape.size())), ", "),
                     shape.size() > most ? ", …" : "");
}

std::uint64_t begin_of_tensor(const std::filesystem::path& path, const SafetensorsContents& contents,
                              const TensorSpec& tensor, const SafetensorsEntry& entry,
                              std::size_t element_bytes) {
  const std::uint64_t bytes = tensor.elements() * element_bytes;
  const std::vector<std::uint64_t>& offsets = entry.offsets;
  if (offsets.size() != 2 || offsets[0] > contents.data_bytes || offsets[1] > contents.data_bytes ||
      offsets[0] + bytes != offsets[1]) {
    refuse_file(
        path, fmt::format("tensor \"{}\": its {} bytes are not where data_offsets says", tensor.name, bytes));
  }
  return contents.data_begin + offsets[0];
}

void require_data_bytes(const std::filesystem::path& path, const SafetensorsContents& contents,
                        std::uint64_t bytes) {
  if (contents.data_bytes == bytes) return;
  refuse_file(path, fmt::format("holds {} bytes of data; expected {} as its tensors have",
                                contents.data_bytes, bytes));
}

namespace {

void read_tensor(const std::filesystem::path& path, std::ifstream& file, const Contents& contents,
                 const TensorSpec& tensor, std::span<float> values) {
  const SafetensorsEntry entry = read_safetensors_entry(path, contents, tensor.name);
  if (entry.dtype != "F32") {
    refuse_file(path,
                fmt::format("tensor \"{}\" is {}; expected \"F32\"", tensor.name, in_quotes(entry.dtype)));
  }
  if (entry.shape != tensor.shape) {
    refuse_file(path, fmt::format("tensor \"{}\" has shape [{}]; expected [{}]", tensor.name,
                                  describe_shape(entry.shape), describe_shape(tensor.shape)));
  }
  file.seekg(static_cast<std::streamoff>(begin_of_tensor(path, contents, tensor, entry, sizeof(float))));
  file.read(reinterpret_cast<char*>(values.data() + tensor.offset),
            static_cast<std::streamsize>(tensor.elements() * sizeof(float)));
  if (!file) refuse_file(path, fmt::format("tensor \"{}\" cannot be read", tensor.name));
}

void save_to_stream(const std::filesystem::path& path, const std::string& header,
                    std::span<const float> values) {
  try {
    write_to_stream(path, {std::as_bytes(std::span(header)), std::as_bytes(values)});
  } catch (const std::system_error& error) {
    throw std::runtime_error(fmt::format("{}: cannot be written: {}", path.string(), error.code().message()));
  }
}

}  // namespace

void save_safetensors(const std::filesystem::path& path, const ParameterLayout& layout,
                      std::span<const float> values) {
  const std::string header = safetensors_header(layout);
  if (is_stream(path)) {
    save_to_stream(path, header, values);
    return;
  }
  std::filesystem::path beside = path;
  beside += ".partial";
  std::ofstream file(beside, std::ios::binary | std::ios::trunc);
  write_bytes(file, header.data(), header.size());
  write_bytes(file, values.data(), values.size_bytes());
  file.close();
  std::error_code error;
  if (file) std::filesystem::rename(beside, path, error);
  if (!file || error) {
    const std::string reason = error ? error.message() : std::strerror(errno);
    std::filesystem::remove(beside, error);
    throw std::runtime_error(fmt::format("{}: cannot be written: {}", path.string(), reason));
  }
}

void load_safetensors(const std::filesystem::path& path, const ParameterLayout& layout,
                      std::span<float> values) {
  std::ifstream file(path, std::ios::binary);
  const Contents contents = read_safetensors_header(path, file, file_bytes(path, file));
  std::set<std::string> known;
  for (const TensorSpec& tensor : layout.tensors()) {
    read_tensor(path, file, contents, tensor, values);
    known.insert(tensor.name);
  }
  for (const auto& [name, entry] : contents.header->items()) {
    if (!known.contains(name)) {
      refuse_file(path, fmt::format("tensor {} does not belong to this model", in_quotes(name)));
    }
  }
  require_data_bytes(path, contents, values.size_bytes());
}

}  // namespace tardigrad
