#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/formats/class_names.h"

namespace tardigrad::data {

/// Holds the rows of a LIBSVM file (www.csie.ntu.edu.tw/~cjlin/libsvm): of each only the features that it
/// names.
struct SparseRows {
  std::filesystem::path path;
  std::vector<std::size_t> begin;      ///< [rows + 1], places in the following two
  std::vector<std::uint32_t> columns;  ///< from 0, ascending within a row
  std::vector<float> values;
  std::vector<Label> labels;             ///< [rows]
  std::vector<std::string> class_names;  ///< of the labels, as NamedExamples has them
  std::size_t features = 0;              ///< the largest column and one

  /// Returns all features of all rows, 0 where one names none. `features` is at least as many as it has.
  /// Throws as make_rows does.
  NamedExamples dense(std::size_t features) const;
};

/// Reads a file, plain or gzipped, of lines "LABEL INDEX:VALUE INDEX:VALUE …" with indices from 1, ascending.
/// What follows a # is left out, and so are empty lines. Throws std::invalid_argument naming the file, the
/// line and what was expected for anything else, and for a file without rows.
SparseRows read_libsvm(const std::filesystem::path& path);

}  // namespace tardigrad::data
