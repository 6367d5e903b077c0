#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <filesystem>
#include <stdexcept>
#include <string>

namespace tardigrad::data {

/// Throws std::invalid_argument: "PATH: REASON".
[[noreturn]] inline void refuse_file(const std::filesystem::path& path, const std::string& reason) {
  throw std::invalid_argument(fmt::format("{}: {}", path.string(), reason));
}

/// Throws std::invalid_argument: "PATH:LINE: REASON".
[[noreturn]] inline void refuse_line(const std::filesystem::path& path, std::size_t line,
                                     const std::string& reason) {
  throw std::invalid_argument(fmt::format("{}:{}: {}", path.string(), line, reason));
}

}  // namespace tardigrad::data
