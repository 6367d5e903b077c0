#include "data/formats/byte_reader.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace tardigrad::data {
namespace {

constexpr std::uint64_t chunk_bytes = 1 << 20;

/// The least that deflate makes of this many bytes is one: of 258 equal ones two bits.
constexpr std::uint64_t most_shrinking = 1032;

/// The size of a regular file; the largest integer for any other.
std::uint64_t size_of(const std::filesystem::path& path) {
  std::error_code unknown;
  return std::filesystem::file_size(path, unknown);  // which gives the largest integer
}

gzFile as_gz(void* file) { return static_cast<gzFile>(file); }

}  // namespace

void ByteReader::Close::operator()(void* file) const { gzclose_r(as_gz(file)); }

ByteReader::ByteReader(std::filesystem::path path) : path_(std::move(path)) {
  std::error_code unreachable;  // Then opening fails, and says why.
  if (std::filesystem::is_directory(path_, unreachable)) {
    throw std::invalid_argument(fmt::format("{}: is a folder, expected a file", path_.string()));
  }
  file_.reset(gzopen(path_.c_str(), "rb"));
  if (!file_) {
    throw std::invalid_argument(
        fmt::format("{}: cannot be opened: {}", path_.string(), std::strerror(errno)));
  }
  const std::uint64_t buffer_bytes = std::clamp<std::uint64_t>(size_of(path_), 1 << 10, chunk_bytes / 4);
  gzbuffer(as_gz(file_.get()), static_cast<unsigned>(buffer_bytes));
}

std::uint64_t ByteReader::most_bytes() const {
  constexpr std::uint64_t unlimited = std::numeric_limits<std::uint64_t>::max();
  const std::uint64_t file_bytes = size_of(path_);
  if (gzdirect(as_gz(file_.get())) != 0) return file_bytes;
  return file_bytes > unlimited / most_shrinking ? unlimited : file_bytes * most_shrinking;
}

/// What a file of this size is likely to hold at most, a few times as much as it has: 0 where that is not
/// known.
std::uint64_t ByteReader::likely_bytes() const {
  constexpr std::uint64_t usual_shrinking = 8;
  const std::uint64_t most = most_bytes();
  if (most == std::numeric_limits<std::uint64_t>::max()) return 0;
  return std::min(most, size_of(path_) * usual_shrinking);
}

std::vector<std::uint8_t> ByteReader::read(std::uint64_t count) {
  std::vector<std::uint8_t> bytes;
  if (count > chunk_bytes) bytes.reserve(std::min(count, likely_bytes()));
  while (bytes.size() < count) {
    const std::size_t begin = bytes.size();
    const std::uint64_t wanted = std::min(count - begin, chunk_bytes);
    bytes.resize(begin + wanted);
    const int got = gzread(as_gz(file_.get()), bytes.data() + begin, static_cast<unsigned>(wanted));
    bytes.resize(begin + static_cast<std::size_t>(std::max(got, 0)));
    if (static_cast<std::uint64_t>(got) == wanted) continue;

    // A gzip stream that breaks off counts as an end for gzread; only gzerror tells.
    int status = Z_OK;
    const char* const reason = gzerror(as_gz(file_.get()), &status);
    if (status == Z_OK) break;
    throw std::invalid_argument(fmt::format("{}: cannot be read: {}", path_.string(),
                                            status == Z_ERRNO ? std::strerror(errno) : reason));
  }
  return bytes;
}

std::string read_text(const std::filesystem::path& path) {
  ByteReader reader(path);
  std::string text;
  for (auto bytes = reader.read(chunk_bytes); !bytes.empty(); bytes = reader.read(chunk_bytes)) {
    text.append(bytes.begin(), bytes.end());
  }
  return text;
}

}  // namespace tardigrad::data
