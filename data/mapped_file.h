#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>

namespace tardigrad::data {

/// Is a whole file in the address space: its bytes are read when they are looked at, and may be more than
/// memory holds.
class MappedFile {
 public:
  /// Opens a file for reading. Throws std::system_error where that cannot be done.
  explicit MappedFile(const std::filesystem::path& path);

  /// Makes a file of so many bytes, all 0 and all there on the disk, or replaces one. Throws
  /// std::system_error where that cannot be done; no file is then left.
  MappedFile(const std::filesystem::path& path, std::size_t bytes);

  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::uint8_t> bytes() const { return {data_, size_}; }
  /// Returns what may be written, of a file that this object has made.
  std::span<std::uint8_t> writable() { return {data_, size_}; }

 private:
  void map(int file, int protection);

  std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
};

/// Maps a file that is a header of `header_bytes` and `payload_bytes` behind it, and no more. Returns null
/// for any other, such as one that is compressed or no regular file.
std::shared_ptr<const MappedFile> map_plain_file(const std::filesystem::path& path,
                                                 std::uint64_t header_bytes, std::uint64_t payload_bytes);

}  // namespace tardigrad::data
