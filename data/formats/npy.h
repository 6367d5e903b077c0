#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/formats/class_names.h"

namespace tardigrad::data {

/// Holds an array of NumPy's .npy format (numpy.org/doc/stable/reference/generated/numpy.lib.format.html) in
/// C order.
struct NpyArray {
  std::string type;  ///< as NumPy writes it: "<f4", "|u1", …
  std::vector<std::size_t> shape;
  std::size_t header_bytes = 0;  ///< of the file, before its numbers
  std::vector<std::uint8_t> bytes;
};

/// Reads an array, plain or gzipped. Throws std::invalid_argument naming the file and what was expected for
/// any other file, for big-endian numbers, Fortran's order, and types that are no numbers.
NpyArray read_npy(const std::filesystem::path& path);

/// Reads images or rows of features, and their labels [N]. Examples are uint8, which are taken for pixels, or
/// float32 or float64, [N, features], [N, height, width], or with 1, 3 or 4 channels [N, height, width,
/// channels] or [N, channels, height, width]; where it could be either, the former. Labels are whole numbers
/// of any type. Throws std::invalid_argument naming the file and what was expected for others, where their
/// numbers differ, and for a value that is not finite. Pixels whose channels are the last dimension are read
/// whatever `access` says.
NamedExamples read_npy_examples(const std::filesystem::path& examples, const std::filesystem::path& labels,
                                PixelAccess access = PixelAccess::read);

}  // namespace tardigrad::data
