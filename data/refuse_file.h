#pragma once

#include <fmt/format.h>

#include <filesystem>
#include <stdexcept>
#include <string>

namespace tardigrad::data {

/// Throws std::invalid_argument: "PATH: REASON".
[[noreturn]] inline void refuse_file(const std::filesystem::path& path, const std::string& reason) {
  throw std::invalid_argument(fmt::format("{}: {}", path.string(), reason));
}

}  // namespace tardigrad::data
