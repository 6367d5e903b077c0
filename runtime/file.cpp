#include "runtime/file.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace tardigrad {

File open_to_write(const char* flag, const std::filesystem::path& path) {
  File file(std::fopen(path.c_str(), "w"));
  if (file) return file;
  throw std::invalid_argument(
      fmt::format("{} {}: cannot be written: {}", flag, path.string(), std::strerror(errno)));
}

}  // namespace tardigrad
