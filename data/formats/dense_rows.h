#pragma once

#include <cstddef>
#include <filesystem>

#include "data/dataset.h"

namespace tardigrad::data {

/// Returns images of one row with that many features, for so many examples, all 0 and without labels. Throws
/// std::invalid_argument, naming the file that they are of, where they would not fit into this machine's
/// memory.
Images make_rows(const std::filesystem::path& path, std::size_t examples, std::size_t features);

}  // namespace tardigrad::data
