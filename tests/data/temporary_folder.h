#pragma once

#include <zlib.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/support/temporary_folder.h"

namespace tardigrad::data {

using Bytes = std::vector<std::uint8_t>;

inline Bytes bytes_of(const std::string& text) { return {text.begin(), text.end()}; }

/// A folder of its own for a test, with files.
class TemporaryFolder : public tardigrad::TemporaryFolder {
 public:
  std::filesystem::path write(const std::string& name, std::span<const std::uint8_t> bytes) const {
    std::filesystem::create_directories((path() / name).parent_path());
    std::ofstream file(path() / name, std::ios::binary);
    file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    if (!file.flush()) throw std::runtime_error("cannot write " + name);
    return path() / name;
  }

  std::filesystem::path write_gz(const std::string& name, std::span<const std::uint8_t> bytes) const {
    const gzFile file = gzopen((path() / name).c_str(), "wb");
    const int written = gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size()));
    if (gzclose(file) != Z_OK || written != static_cast<int>(bytes.size())) {
      throw std::runtime_error("cannot write " + name);
    }
    return path() / name;
  }
};

/// An IDX file of bytes: header, then `values`, whether they fit the dimensions or not.
inline Bytes idx_file(const std::vector<std::uint32_t>& dimensions, const Bytes& values) {
  Bytes file = {0, 0, 8, static_cast<std::uint8_t>(dimensions.size())};
  for (const std::uint32_t dimension : dimensions) {
    for (const int shift : {24, 16, 8, 0}) file.push_back(static_cast<std::uint8_t>(dimension >> shift));
  }
  file.insert(file.end(), values.begin(), values.end());
  return file;
}

/// Bytes first, first + 1, … modulo 256.
inline Bytes counting(std::size_t size, std::size_t first = 0) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::uint8_t>(first + i);
  return bytes;
}

/// A CIFAR-10 record whose planes hold `label` + 10, + 20 and + 30.
inline Bytes cifar10_record(std::uint8_t label) {
  Bytes record = {label};
  for (const int plane : {10, 20, 30}) {
    record.insert(record.end(), 1024, static_cast<std::uint8_t>(label + plane));
  }
  return record;
}

/// The message of the std::invalid_argument that `call` throws; says so where it throws none.
template <typename Call>
std::string error_of(Call&& call) {
  try {
    call();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "no std::invalid_argument was thrown";
}

}  // namespace tardigrad::data
