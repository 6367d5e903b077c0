// A disk that fails when it is told to: loaded into a program with LD_PRELOAD, it numbers the calls that
// write to a folder and lets some of them fail. By environment variables:
//   FAULTY_DISK_FOLDER   calls whose paths begin with this text count, from 1
//   FAULTY_DISK_LOG      a file that gets a line for each: number, fault or "-", call, path, second path;
//   with tabs FAULTY_DISK_FAULT    an errno, such as 28: what fails fails with that. "short": of what is
//   written only a half is.
//                        "kill": the program is killed, in the midst of what it writes
//   FAULTY_DISK_FIRST, FAULTY_DISK_COUNT, FAULTY_DISK_STEP   the first call that fails, how many do, and how
//   far they
//                        are apart

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <utility>

namespace {

/// The function that this library stands before.
template <typename Function>
Function* real(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

std::string setting(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

long number_setting(const char* name) { return std::atol(setting(name).c_str()); }

enum class Fault { none, error, cut_short, kill };

/// What is open in the folder, and which call is next. Any thread.
class Disk {
 public:
  static Disk& instance() {
    static Disk& disk = *new Disk;  // files are closed until the very end
    return disk;
  }

  /// What happens to this call; errno is set.
  Fault next(const char* call, const std::string& path, const std::string& second = {}) {
    if (!concerns(path)) return Fault::none;
    const std::lock_guard lock(mutex_);
    ++number_;
    const long since = number_ - first_;
    const bool can = fault_ != Fault::cut_short || call == std::string("write");
    const bool now = can && since >= 0 && since % step_ == 0 && since / step_ < count_;
    if (log_ != nullptr) {
      std::fprintf(log_, "%ld\t%s\t%s\t%s\t%s\n", number_, now ? fault_name_.c_str() : "-", call,
                   path.c_str(), second.c_str());
      std::fflush(log_);
    }
    if (!now) return Fault::none;
    errno = error_;
    return fault_;
  }

  void opened(int file, const std::string& path) {
    if (file < 0 || file >= static_cast<int>(open_.size()) || !concerns(path)) return;
    const std::lock_guard lock(mutex_);
    open_[static_cast<std::size_t>(file)] = path;
  }

  /// Nothing of files elsewhere.
  std::string path_of(int file, bool forget = false) {
    if (file < 0 || file >= static_cast<int>(open_.size())) return {};
    const std::lock_guard lock(mutex_);
    std::string& path = open_[static_cast<std::size_t>(file)];
    return forget ? std::exchange(path, {}) : path;
  }

 private:
  Disk()
      : folder_(setting("FAULTY_DISK_FOLDER")),
        fault_name_(setting("FAULTY_DISK_FAULT")),
        fault_(fault_name_ == "short"  ? Fault::cut_short
               : fault_name_ == "kill" ? Fault::kill
                                       : Fault::error),
        error_(std::atoi(fault_name_.c_str())),
        first_(number_setting("FAULTY_DISK_FIRST")),
        count_(number_setting("FAULTY_DISK_COUNT")),
        step_(std::max(1L, number_setting("FAULTY_DISK_STEP"))) {
    if (const std::string log = setting("FAULTY_DISK_LOG"); !log.empty()) log_ = std::fopen(log.c_str(), "w");
  }

  bool concerns(const std::string& path) const { return !folder_.empty() && path.starts_with(folder_); }

  const std::string folder_;
  const std::string fault_name_;
  const Fault fault_;
  const int error_;
  const long first_;
  const long count_;
  const long step_;
  std::FILE* log_ = nullptr;
  std::mutex mutex_;
  long number_ = 0;
  std::array<std::string, 1024> open_;  // paths by descriptor
};

Disk& disk() { return Disk::instance(); }

[[noreturn]] void die() {
  std::raise(SIGKILL);
  std::abort();
}

/// A call that does all or nothing.
template <typename Call>
int whole_call(Fault fault, Call call) {
  if (fault == Fault::kill) die();
  return fault == Fault::error ? -1 : call();
}

/// `write(bytes)` is a call that may write less than it is told to.
template <typename Write>
ssize_t written(Fault fault, std::size_t bytes, Write write) {
  if (fault == Fault::error) return -1;
  if (fault == Fault::none) return write(bytes);
  const ssize_t half = write((bytes + 1) / 2);
  if (fault == Fault::kill) die();
  return half;
}

std::string path_at(int folder, const char* path) {
  const std::string folder_path = disk().path_of(folder);
  return folder_path.empty() ? path : folder_path + "/" + path;
}

int open_file(const char* call, int folder, const char* path, int flags, mode_t mode) {
  const std::string whole_path = path_at(folder, path);
  const auto open = [&] {
    return real<int(int, const char*, int, mode_t)>("openat")(folder, path, flags, mode);
  };
  const bool reads = (flags & O_ACCMODE) == O_RDONLY;
  const int file = whole_call(disk().next(reads ? "open-to-read" : call, whole_path), open);
  disk().opened(file, whole_path);
  return file;
}

mode_t mode_of(int flags, va_list arguments) {
  return (flags & (O_CREAT | __O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return open_file("open", AT_FDCWD, path, flags, mode);
}

int openat(int folder, const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return open_file("open", folder, path, flags, mode);
}

ssize_t write(int file, const void* bytes, std::size_t count) {
  return written(disk().next("write", disk().path_of(file)), count,
                 [&](std::size_t part) { return real<decltype(write)>("write")(file, bytes, part); });
}

ssize_t pwrite(int file, const void* bytes, std::size_t count, off_t position) {
  return written(disk().next("write", disk().path_of(file)), count, [&](std::size_t part) {
    return real<decltype(pwrite)>("pwrite")(file, bytes, part, position);
  });
}

/// No power is cut, and what the disk of the machine would take for it changes what happens when.
int fsync(int file) {
  const std::string path = disk().path_of(file);
  const Fault fault = disk().next("fsync", path);
  return whole_call(fault, [&] { return path.empty() ? real<decltype(fsync)>("fsync")(file) : 0; });
}

/// Closes also when it fails, as Linux does.
int close(int file) {
  const Fault fault = disk().next("close", disk().path_of(file, true));
  const int error = errno;
  const int result = real<int(int)>("close")(file);
  return whole_call(fault, [&] { return result; }) == result ? result : (errno = error, -1);
}

int flock(int file, int operation) noexcept {
  return whole_call(disk().next("flock", disk().path_of(file)),
                    [&] { return real<int(int, int)>("flock")(file, operation); });
}

int mkdir(const char* path, mode_t mode) noexcept {
  return whole_call(disk().next("mkdir", path),
                    [&] { return real<int(const char*, mode_t)>("mkdir")(path, mode); });
}

int rename(const char* from, const char* to) noexcept {
  return whole_call(disk().next("rename", from, to),
                    [&] { return real<int(const char*, const char*)>("rename")(from, to); });
}

int renameat2(int from_folder, const char* from, int to_folder, const char* to, unsigned flags) noexcept {
  using Call = int(int, const char*, int, const char*, unsigned);
  return whole_call(disk().next("renameat2", path_at(from_folder, from), path_at(to_folder, to)),
                    [&] { return real<Call>("renameat2")(from_folder, from, to_folder, to, flags); });
}

int unlinkat(int folder, const char* path, int flags) noexcept {
  return whole_call(disk().next("unlinkat", path_at(folder, path)),
                    [&] { return real<int(int, const char*, int)>("unlinkat")(folder, path, flags); });
}

// On Linux of 64 bits these are the same.
int open64(const char* path, int flags, ...) __attribute__((alias("open")));
ssize_t pwrite64(int file, const void* bytes, std::size_t count, off64_t position)
    __attribute__((alias("pwrite")));
}
