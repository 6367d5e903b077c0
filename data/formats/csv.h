#pragma once

#include <filesystem>
#include <string>

#include "data/formats/class_names.h"

namespace tardigrad::data {

/// Reads rows of features, one of which is the label, from comma-separated values (RFC 4180), plain or
/// gzipped; where the first line has no comma but semicolons or tabs, those separate. `label` is the name of
/// a column, as the first line then has them, or its number from 1; the first line is a row of names, too,
/// where one of its features is no number. All other columns are numbers. Throws std::invalid_argument naming
/// the file, line and column for a cell that is no number, a row with another number of columns, a column
/// that is not there, and for a file without rows.
NamedExamples read_csv(const std::filesystem::path& path, const std::string& label);

}  // namespace tardigrad::data
