#include "runtime/checkpoint/durable_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

namespace tardigrad {
namespace {

[[noreturn]] void fail(const std::filesystem::path& path, const char* what, int error) {
  throw std::runtime_error(fmt::format("{}: {}: {}", path.string(), what, std::strerror(error)));
}

class Descriptor {
 public:
  Descriptor(const std::filesystem::path& path, int flags, const char* what)
      : value_(open(path.c_str(), flags)) {
    if (value_ < 0) fail(path, what, errno);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { close(value_); }
  operator int() const { return value_; }

 private:
  int value_;
};

}  // namespace

DurableFile::DurableFile(std::filesystem::path path)
    : path_(std::move(path)),
      descriptor_(open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)) {
  if (descriptor_ < 0) fail(path_, "cannot be created", errno);
}

DurableFile::DurableFile(DurableFile&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}

DurableFile::~DurableFile() {
  if (descriptor_ >= 0) close(descriptor_);
}

void DurableFile::write(std::uint64_t position, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(position));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail(path_, "cannot be written", errno);
    if (written == 0) fail(path_, "cannot be written", ENOSPC);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
    position += static_cast<std::uint64_t>(written);
  }
}

void DurableFile::sync() {
  while (fsync(descriptor_) != 0) {
    if (errno != EINTR) fail(path_, "cannot be brought to the disk", errno);
  }
  if (close(std::exchange(descriptor_, -1)) != 0) fail(path_, "cannot be closed", errno);
}

void sync_folder(const std::filesystem::path& folder) {
  const Descriptor descriptor(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC, "cannot be opened");
  // Some file systems know nothing of this for folders.
  if (fsync(descriptor) != 0 && errno != EINVAL) fail(folder, "cannot be brought to the disk", errno);
}

FileDigest digest_of(const std::filesystem::path& path) {
  constexpr std::size_t part_bytes = std::size_t{1} << 16;
  const Descriptor file(path, O_RDONLY | O_CLOEXEC, "cannot be read");
  const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> hash(XXH3_createState(), &XXH3_freeState);
  XXH3_64bits_reset(hash.get());
  std::vector<std::byte> part(part_bytes);
  FileDigest digest;
  for (;;) {
    const ssize_t got = read(file, part.data(), part.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail(path, "cannot be read", errno);
    if (got == 0) break;
    XXH3_64bits_update(hash.get(), part.data(), static_cast<std::size_t>(got));
    digest.bytes += static_cast<std::uint64_t>(got);
  }
  digest.xxh3 = fmt::format("{:016x}", XXH3_64bits_digest(hash.get()));
  return digest;
}

}  // namespace tardigrad
