#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <vector>

namespace tardigrad::data {

/// Reads which worker has which training example, both counted from 0: lines "EXAMPLE,WORKER" in any order,
/// or lines "WORKER" in the order of the examples. A first line of names is passed over, and so are empty
/// ones. Throws std::invalid_argument naming the file, the line and what was expected for anything else, for
/// an example or a worker that is not there, an example without a worker or with two, and a worker without
/// examples.
std::vector<std::uint32_t> read_assignment(const std::filesystem::path& path, std::size_t examples,
                                           std::size_t workers);

}  // namespace tardigrad::data
