#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <span>
#include <string>

#include "runtime/checkpoint/safetensors.h"
#include "runtime/checkpoint/vector_source.h"

namespace tardigrad {

/// Reads the vectors of a run's state by name from a safetensors file: tensors [d] and [rows, d].
class VectorFile final : public VectorSource {
 public:
  /// Opens the file. Throws std::invalid_argument naming it if it is no safetensors file, claims more than it
  /// holds, or has tensors of another kind.
  VectorFile(std::filesystem::path path, std::size_t dimension);

  /// Tells whether it has a tensor of that name, type and number of rows.
  bool has(const std::string& name, ElementType type, std::size_t rows) const;

  void read(const std::string& name, std::size_t row, std::span<float> values,
            std::size_t begin = 0) override;
  void read(const std::string& name, std::size_t row, std::span<Bf16> values, std::size_t begin = 0) override;

 private:
  struct Tensor {
    ElementType type;
    std::size_t rows;
    std::uint64_t begin;  // in the file
  };
  Tensor tensor(const std::string& name, const SafetensorsEntry& entry,
                const SafetensorsContents& contents) const;
  void read_bytes(const std::string& name, std::size_t row, ElementType type, std::span<std::byte> bytes,
                  std::size_t begin);
  [[noreturn]] void refuse(const std::string& name, const std::string& expected) const;

  std::filesystem::path path_;
  std::size_t dimension_;
  std::ifstream file_;
  std::map<std::string, Tensor> tensors_;
};

}  // namespace tardigrad
