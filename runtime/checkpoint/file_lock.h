#pragma once

#include <filesystem>
#include <string>

namespace tardigrad {

/// Locks a file that one process at a time has, until it ends or the object goes, where its file system has
/// locks.
class FileLock {
 public:
  enum class State {
    held,            ///< by this object
    held_elsewhere,  ///< by another process, or another object of this one
    unknown          ///< no lock can be had: why() says why, and nobody keeps others out
  };

  /// Is flock(), or what stands for it in tests. It returns 0, or −1 with errno.
  using Lock = int(int file, int operation);

  /// Creates the file if there is none, and tries to lock it, without waiting. Throws std::system_error where
  /// the file cannot be opened.
  explicit FileLock(const std::filesystem::path& path);
  FileLock(const std::filesystem::path& path, Lock& lock);
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;
  ~FileLock();

  State state() const { return state_; }
  const std::string& why() const { return why_; }

 private:
  int file_;
  State state_ = State::held;
  std::string why_;
};

}  // namespace tardigrad
