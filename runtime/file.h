#pragma once

#include <cstdio>
#include <filesystem>
#include <memory>

namespace tardigrad {

struct CloseFile {
  void operator()(std::FILE* file) const noexcept { std::fclose(file); }
};

/// An open file of the C library, which closes with it.
using File = std::unique_ptr<std::FILE, CloseFile>;

/// Opened for writing, from its beginning. Throws std::invalid_argument naming `flag` and the path if it
/// cannot be.
File open_to_write(const char* flag, const std::filesystem::path& path);

}  // namespace tardigrad
