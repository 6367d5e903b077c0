#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace tardigrad {

/// Writes a file that is on the disk, and not only in the system's memory, once sync() has returned. What
/// cannot be done throws std::runtime_error naming the file and why; a write cut short is gone on with.
class DurableFile {
 public:
  /// Creates the file, or empties it. It closes with the object.
  explicit DurableFile(std::filesystem::path path);
  DurableFile(DurableFile&& other) noexcept;
  DurableFile& operator=(DurableFile&&) = delete;
  DurableFile(const DurableFile&) = delete;
  DurableFile& operator=(const DurableFile&) = delete;
  ~DurableFile();

  void write(std::uint64_t position, std::span<const std::byte> bytes);
  void write(std::uint64_t position, std::string_view text) {
    write(position, std::as_bytes(std::span(text)));
  }

  /// Waits until the disk has the file, and closes it, as some file systems tell of trouble only then.
  void sync();

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  int descriptor_;
};

/// Makes what was created, renamed or removed in a folder last, beyond a power cut.
void sync_folder(const std::filesystem::path& folder);

/// Holds length and checksum of a file, XXH3 of 64 bits in hexadecimal. It finds damage, no forgery.
struct FileDigest {
  std::uint64_t bytes = 0;
  std::string xxh3;
  bool operator==(const FileDigest&) const = default;
};

/// Reads the file and returns its digest. Throws std::runtime_error naming it if it cannot be read.
FileDigest digest_of(const std::filesystem::path& path);

}  // namespace tardigrad
