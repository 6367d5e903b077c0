#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace tardigrad::data {

/// Reads a file from front to back; one that is gzipped gives its uncompressed bytes.
/// Every call throws std::invalid_argument naming the file where it cannot be opened or read, or where its
/// gzip wrapping is damaged or cut short.
class ByteReader {
 public:
  explicit ByteReader(std::filesystem::path path);

  /// Returns the next `count` bytes, fewer where the file ends first. What is allocated grows with what is
  /// really there, so a `count` that comes from a damaged header does no harm.
  std::vector<std::uint8_t> read(std::uint64_t count);

  /// Returns the most bytes that a file of this size can hold, gzipped or not. No limit is known for what is
  /// no regular file. A header that promises more needs no reading on.
  std::uint64_t most_bytes() const;

  /// Tells whether no byte is left.
  bool at_end() { return read(1).empty(); }

  const std::filesystem::path& path() const { return path_; }

 private:
  std::uint64_t likely_bytes() const;

  struct Close {
    void operator()(void* file) const;
  };

  std::filesystem::path path_;
  std::unique_ptr<void, Close> file_;  ///< zlib's gzFile, which reads plain files too.
};

/// Returns all that a file holds, uncompressed. Throws as ByteReader does.
std::string read_text(const std::filesystem::path& path);

}  // namespace tardigrad::data
