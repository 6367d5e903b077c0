#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "tests/data/temporary_folder.h"

namespace tardigrad::data {

/// A .npy file, version 1, with that header and those bytes behind it.
inline Bytes npy_file(const std::string& header, const Bytes& numbers) {
  Bytes file = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0};
  const std::string padded = header + std::string((64 - (10 + header.size() + 1) % 64) % 64, ' ') + "\n";
  file.push_back(static_cast<std::uint8_t>(padded.size()));
  file.push_back(static_cast<std::uint8_t>(padded.size() >> 8));
  file.insert(file.end(), padded.begin(), padded.end());
  file.insert(file.end(), numbers.begin(), numbers.end());
  return file;
}

/// The array of `numbers` in that shape, "(2, 3)", as NumPy writes it.
template <typename Number>
Bytes npy_of(const std::string& type, const std::string& shape, const std::vector<Number>& numbers) {
  Bytes bytes(numbers.size() * sizeof(Number));
  if (!bytes.empty()) std::memcpy(bytes.data(), numbers.data(), bytes.size());
  return npy_file("{'descr': '" + type + "', 'fortran_order': False, 'shape': " + shape + ", }", bytes);
}

}  // namespace tardigrad::data
