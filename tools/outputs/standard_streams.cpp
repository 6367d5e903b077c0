#include "tools/outputs/standard_streams.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <initializer_list>

namespace tardigrad {
namespace {

/// The errno of the first flush of stdout that failed: the stream itself forgets it.
int& first_error_of_stdout() {
  static int error = 0;
  return error;
}

}  // namespace

void open_standard_streams() {
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(descriptor, F_GETFD) != -1) continue;
    const int access = descriptor == STDOUT_FILENO ? O_RDONLY : O_RDWR;
    static_cast<void>(open("/dev/null", access));  // takes the lowest free
  }
  // As much as a command prints: then the error is that of one flush, which says why.
  static std::array<char, std::size_t{1} << 16> buffer;
  if (isatty(STDOUT_FILENO) == 0) std::setvbuf(stdout, buffer.data(), _IOFBF, buffer.size());
}

void flush_stdout() {
  if (std::fflush(stdout) != 0 && first_error_of_stdout() == 0) first_error_of_stdout() = errno;
}

/// Some file systems tell only a file that is closed that it could not be written. Closing a copy will do.
std::optional<std::string> trouble_with_stdout() {
  flush_stdout();
  int error = first_error_of_stdout();
  if (error == 0 && std::ferror(stdout) == 0) {
    const int copy = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0);
    if (copy == -1 || close(copy) == 0) return std::nullopt;
    error = errno;
  }
  return fmt::format("stdout: cannot be written{}{}", error == 0 ? "" : ": ",
                     error == 0 ? "" : std::strerror(error));
}

void ignore_sigpipe_and_sigxfsz() {
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);
}

}  // namespace tardigrad
