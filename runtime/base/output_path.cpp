#include "runtime/base/output_path.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string_view>
#include <system_error>

#include "runtime/base/parse_number.h"
#include "runtime/base/say.h"

namespace tardigrad {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail() { throw std::system_error(errno, std::generic_category()); }

/// The descriptor that the path itself names.
std::optional<int> named_descriptor(const fs::path& path) {
  if (path == "-" || path == "/dev/stdout") return STDOUT_FILENO;
  if (path == "/dev/stderr") return STDERR_FILENO;
  if (path == "/dev/stdin") return STDIN_FILENO;
  const std::string text = path.lexically_normal().string();
  const std::array<std::string, 3> folders = {"/dev/fd/", "/proc/self/fd/",
                                              fmt::format("/proc/{}/fd/", getpid())};
  for (const std::string& folder : folders) {
    if (!text.starts_with(folder)) continue;
    const auto number = parse_number<int>(std::string_view(text).substr(folder.size()));
    if (number && *number >= 0) return number;
  }
  return std::nullopt;
}

/// Nothing where there is no such file.
std::optional<struct stat> status_of(const fs::path& path) {
  struct stat status {};
  const auto descriptor = descriptor_of(path);
  const int error = descriptor ? fstat(*descriptor, &status) : stat(path.c_str(), &status);
  return error == 0 ? std::optional(status) : std::nullopt;
}

bool is_null_device(const struct stat& status) {
  return S_ISCHR(status.st_mode) && status.st_rdev == makedev(1, 3);
}

/// Where a pipe has no reader yet, it is opened without waiting, to no avail, so that this can be told.
int open_path(const fs::path& path) {
  const int descriptor = open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (descriptor < 0 && errno == ENXIO && fs::is_fifo(path)) {
    say(stderr, "{}: waits for a reader\n", path.string());
    return open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY);
  }
  if (descriptor >= 0) fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) & ~O_NONBLOCK);
  return descriptor;
}

}  // namespace

std::optional<int> descriptor_of(const fs::path& path) {
  constexpr int most_links = 8;
  fs::path target = path;
  for (int link = 0; link < most_links; ++link) {
    if (const auto descriptor = named_descriptor(target)) return descriptor;
    std::error_code none;
    const fs::path next = fs::read_symlink(target, none);
    if (none) break;
    target = target.parent_path() / next;  // `next` alone where it is absolute
  }
  return std::nullopt;
}

bool is_stream(const fs::path& path) {
  if (descriptor_of(path)) return true;
  std::error_code none;
  const fs::file_status status = fs::status(path, none);
  return fs::exists(status) && !fs::is_regular_file(status) && !fs::is_directory(status);
}

int open_stream(const fs::path& path) {
  const auto descriptor = descriptor_of(path);
  const int opened = descriptor ? fcntl(*descriptor, F_DUPFD_CLOEXEC, STDERR_FILENO + 1) : open_path(path);
  if (opened < 0) fail();
  return opened;
}

void write_to_stream(const fs::path& path, std::initializer_list<std::span<const std::byte>> parts) {
  const struct Opened {
    int descriptor;
    ~Opened() { close(descriptor); }
  } opened{open_stream(path)};
  for (std::span<const std::byte> rest : parts) {
    while (!rest.empty()) {
      const ssize_t written = write(opened.descriptor, rest.data(), rest.size());
      if (written < 0 && errno != EINTR) fail();
      if (written > 0) rest = rest.subspan(static_cast<std::size_t>(written));
    }
  }
}

std::optional<std::string> identity_of(const fs::path& path) {
  if (const auto status = status_of(path)) {
    if (is_null_device(*status)) return std::nullopt;
    return fmt::format("{}:{}", status->st_dev, status->st_ino);
  }
  std::error_code unknown;
  fs::path whole = fs::weakly_canonical(fs::absolute(path), unknown);
  if (unknown) whole = fs::absolute(path).lexically_normal();
  if (!whole.has_filename()) whole = whole.parent_path();  // that of folder/ is folder
  return whole.string();
}

}  // namespace tardigrad
