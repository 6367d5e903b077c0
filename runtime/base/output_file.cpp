#include "runtime/base/output_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <system_error>

#include "runtime/base/output_path.h"

namespace tardigrad {
namespace {

constexpr std::size_t block_bytes = 4096;  // written at once

int flags_of(OutputFile::Begin begin) {
  switch (begin) {
    case OutputFile::Begin::empty:
      return O_CREAT | O_TRUNC;
    case OutputFile::Begin::new_one:
      return O_CREAT | O_EXCL;
    case OutputFile::Begin::behind:
      return 0;
  }
  return 0;
}

int open_to_write(const char* flag, const std::filesystem::path& path, OutputFile::Begin begin) {
  const auto refuse = [&](int error) {
    throw std::invalid_argument(
        fmt::format("{} {}: cannot be written: {}", flag, path.string(), std::strerror(error)));
  };
  if (is_stream(path) && begin != OutputFile::Begin::new_one) {
    try {
      return open_stream(path);
    } catch (const std::system_error& error) {
      refuse(error.code().value());
    }
  }
  constexpr mode_t everybody = 0666;  // within the umask
  const int descriptor = open(path.c_str(), O_WRONLY | O_CLOEXEC | flags_of(begin), everybody);
  if (descriptor < 0) refuse(errno);
  if (begin == OutputFile::Begin::behind) lseek(descriptor, 0, SEEK_END);
  return descriptor;
}

/// Writes as much as it can, and removes that from the text. 0, or the errno of what failed.
int write_part(int descriptor, std::string_view& text) {
  while (!text.empty()) {
    const ssize_t written = ::write(descriptor, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return 0;
}

/// Whether the file ends there again.
bool cut(int descriptor, off_t end) {
  return end >= 0 && ftruncate(descriptor, end) == 0 && lseek(descriptor, end, SEEK_SET) == end;
}

}  // namespace

OutputFile::OutputFile(const char* flag, const std::filesystem::path& path, Begin begin, Limits limits)
    : descriptor_(open_to_write(flag, path, begin)),
      can_be_cut_(!is_stream(path)),
      most_waiting_(limits.waiting_bytes),
      trouble_(fmt::format("{} {}", flag, path.string()), limits.patience),
      waiting_(1) {}

OutputFile::~OutputFile() {
  write_out();
  if (close(descriptor_) != 0) {
    trouble_.found(fmt::format("cannot be written whole: {}", std::strerror(errno)));
  }
}

bool OutputFile::write(std::initializer_list<std::string_view> parts, bool matters) {
  std::size_t bytes = 0;
  for (const std::string_view part : parts) bytes += part.size();
  if (waiting_bytes_ + bytes > block_bytes) flush();
  const std::size_t room = matters ? most_waiting_ : most_waiting_ / 2;
  if (waiting_bytes_ > 0 && waiting_bytes_ + bytes > room) {
    ++left_out_;
    return false;
  }
  if (!waiting_.back().empty() && waiting_.back().size() + bytes > block_bytes) {
    waiting_.emplace_back().reserve(block_bytes);
  }
  for (const std::string_view part : parts) waiting_.back() += part;
  waiting_bytes_ += bytes;
  return true;
}

bool OutputFile::flush() { return waiting_bytes_ == 0 || (!trouble_.rests() && write_out()); }

void OutputFile::begin_sync() {
  if (flush()) sync_file_range(descriptor_, 0, 0, SYNC_FILE_RANGE_WRITE);
}

bool OutputFile::write_out() {
  while (waiting_bytes_ > 0) {
    if (const int error = write_front(); error != 0) {
      trouble_.found(fmt::format("cannot be written: {}", std::strerror(error)));
      return false;
    }
  }
  trouble_.over(left_out_ == 0 ? "is written again, nothing was lost"
                               : fmt::format("is written again, without {} records", left_out_));
  left_out_ = 0;
  return true;
}

/// All of the first block, or none of it, but on what cannot be cut. 0, or the errno of what failed.
int OutputFile::write_front() {
  std::string& block = waiting_.front();
  const off_t begin = can_be_cut_ ? lseek(descriptor_, 0, SEEK_CUR) : -1;
  std::string_view rest = block;
  const int error = write_part(descriptor_, rest);
  if (error == 0) {
    waiting_bytes_ -= block.size();
    if (waiting_.size() > 1) {
      waiting_.pop_front();
    } else {
      block.clear();
    }
  } else if (rest.size() < block.size() && !cut(descriptor_, begin)) {
    waiting_bytes_ -= block.size() - rest.size();
    block.erase(0, block.size() - rest.size());
  }
  return error;
}

}  // namespace tardigrad
