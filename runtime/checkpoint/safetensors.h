#pragma once

#include <cstdint>
#include <filesystem>
#include <istream>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "runtime/objective/parameters.h"

namespace tardigrad {

// Model files: safetensors (https://github.com/huggingface/safetensors, format of the 0.3 series and later),
// all tensors fp32 ("F32"), named as the layout names them. PyTorch loads them as a state dict.

/// Writes values [d] beside `path` and renames the file, so that `path` is never half-written. Into a stream
/// (output_path.h) it writes them as it is. Throws std::runtime_error naming the path if it cannot be
/// written.
void save_safetensors(const std::filesystem::path& path, const ParameterLayout& layout,
                      std::span<const float> values);

/// Reads exactly the tensors of the layout into values [d], in whatever order the file has them. Throws
/// std::invalid_argument naming the file, and the tensor, if it is not a safetensors file, claims more than
/// it holds or holds more than that, or a tensor is missing, unknown, not F32 or of another shape.
void load_safetensors(const std::filesystem::path& path, const ParameterLayout& layout,
                      std::span<float> values);

/// Holds an open safetensors file behind its header.
struct SafetensorsContents {
  using Json = nlohmann::ordered_json;
  std::shared_ptr<const Json> header;  ///< an object of the tensors, without metadata
  std::uint64_t data_begin = 0;        ///< in the file
  std::uint64_t data_bytes = 0;
};

/// Returns the size of a file that has been opened, in bytes. Throws std::invalid_argument naming the file if
/// it could not be.
std::uint64_t file_bytes(const std::filesystem::path& path, const std::istream& file);

/// Reads the header of a file of so many bytes. Throws std::invalid_argument naming the file if it has none
/// or claims more than it holds.
SafetensorsContents read_safetensors_header(const std::filesystem::path& path, std::istream& file,
                                            std::uint64_t file_bytes);

/// Holds what a header says of a tensor.
struct SafetensorsEntry {
  std::string dtype;
  std::vector<std::int64_t> shape;
  std::vector<std::uint64_t> offsets;  ///< of its first byte in the data, and of the one behind its last
};

/// Reads what the header says of a tensor. Throws std::invalid_argument naming file and tensor if it is not
/// there or something is missing of it.
SafetensorsEntry read_safetensors_entry(const std::filesystem::path& path,
                                        const SafetensorsContents& contents, const std::string& name);

/// Returns the shape as "2, 3"; only the first of many numbers.
std::string describe_shape(std::span<const std::int64_t> shape);

/// Returns where in the file the elements of a tensor begin, of so many bytes each. Throws
/// std::invalid_argument naming file and tensor where they are not all there.
std::uint64_t begin_of_tensor(const std::filesystem::path& path, const SafetensorsContents& contents,
                              const TensorSpec& tensor, const SafetensorsEntry& entry,
                              std::size_t element_bytes);

/// Throws std::invalid_argument naming the file where its data are more than those of its tensors, or fewer.
void require_data_bytes(const std::filesystem::path& path, const SafetensorsContents& contents,
                        std::uint64_t bytes);

/// Returns what a file of these tensors begins with, up to its data.
std::string safetensors_header(const SafetensorsContents::Json& tensors);
std::string safetensors_header(const ParameterLayout& layout);

/// Returns the entry of a tensor for a header: so many bytes at `begin` of the data.
SafetensorsContents::Json safetensors_entry(const char* dtype, const std::vector<std::int64_t>& shape,
                                            std::uint64_t begin, std::uint64_t bytes);

}  // namespace tardigrad
