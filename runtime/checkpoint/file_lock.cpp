#include "runtime/checkpoint/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

namespace tardigrad {
namespace {

/// EACCES is what some systems say where flock() is made of the locks of fcntl(), as over NFS.
bool says_held_elsewhere(int error) { return error == EWOULDBLOCK || error == EACCES; }

}  // namespace

FileLock::FileLock(const std::filesystem::path& path) : FileLock(path, flock) {}

FileLock::FileLock(const std::filesystem::path& path, Lock& lock)
    : file_(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666)) {
  if (file_ < 0) throw std::system_error(errno, std::system_category(), path.string());
  int result = 0;
  do {
    result = lock(file_, LOCK_EX | LOCK_NB);
  } while (result != 0 && errno == EINTR);
  if (result == 0) return;
  state_ = says_held_elsewhere(errno) ? State::held_elsewhere : State::unknown;
  why_ = std::strerror(errno);
}

FileLock::~FileLock() { close(file_); }

}  // namespace tardigrad
