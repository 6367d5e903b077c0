#include "data/images/image_cache.h"

#include <fmt/format.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <system_error>
#include <utility>

#include "data/normalise.h"

namespace tardigrad::data {
namespace {

namespace fs = std::filesystem;

constexpr std::array<char, 8> magic = {'T', 'G', 'I', 'M', 'A', 'G', 'E', '2'};
constexpr std::size_t page = 4096;
/// Pixels beyond that are not hashed when a file is opened: they are to be read when they are needed.
constexpr std::size_t most_hashed = std::size_t{1} << 30;

/// Is what a cache file begins with. The counts of bytes by channel follow, labels and owners, then, from a
/// page on, the pixels.
struct Header {
  std::array<char, 8> begin = magic;
  std::uint64_t key = 0;
  std::uint64_t channels = 0;
  std::uint64_t height = 0;
  std::uint64_t width = 0;
  std::uint64_t images = 0;    // there are
  std::uint64_t room_for = 0;  // there is, which says where the pixels begin
  std::uint64_t training = 0;
  std::uint64_t pixel_hash = 0;
  std::uint64_t hash = 0;  // of all before, counts, labels and owners
};
static_assert(sizeof(Header) == 80);

constexpr std::size_t counts_from = sizeof(Header);

std::size_t labels_from(std::size_t channels) {
  return counts_from + channels * kinds_of_bytes * sizeof(std::uint64_t);
}

std::size_t pixels_from(std::size_t channels, std::size_t room_for) {
  const std::size_t before = labels_from(channels) + room_for * (sizeof(Label) + sizeof(std::uint32_t));
  return (before + page - 1) / page * page;
}

/// The last letter says which version.
bool is_of_another_version(const Header& header) {
  return header.begin != magic && std::equal(magic.begin(), magic.end() - 1, header.begin.begin());
}

std::uint64_t hash_bytes(std::span<const std::uint8_t> bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

/// `file` is the whole file, with counts, labels and owners in it.
std::uint64_t header_hash(Header header, std::span<const std::uint8_t> file) {
  header.hash = 0;
  const std::size_t end =
      labels_from(header.channels) + header.images * (sizeof(Label) + sizeof(std::uint32_t));
  const std::uint64_t of_lists = hash_bytes(file.subspan(counts_from, end - counts_from));
  return XXH3_64bits_withSeed(&header, sizeof(header), of_lists);
}

std::uint64_t pixel_hash(std::span<const std::uint8_t> pixels) {
  return hash_bytes(pixels.first(std::min(pixels.size(), most_hashed)));
}

/// Why the file does not hold what its header says; nothing if it does.
std::optional<std::string> trouble_with(const Header& header, std::span<const std::uint8_t> file,
                                        bool check_pixels) {
  constexpr std::uint64_t most_pixels = most_side;
  if (header.channels > 3 || header.height > most_pixels || header.width > most_pixels ||
      header.images > header.room_for || header.training > header.images || header.room_for > file.size()) {
    return "its header is damaged";
  }
  const std::size_t pixels = header.images * header.channels * header.height * header.width;
  const std::size_t from = pixels_from(header.channels, header.room_for);
  if (from > file.size() || pixels > file.size() - from) return "it is cut short";
  if (header_hash(header, file) != header.hash) return "its header or its labels are damaged";
  if (check_pixels && pixel_hash(file.subspan(from, pixels)) != header.pixel_hash) {
    return "its pixels are damaged";
  }
  return std::nullopt;
}

template <typename Value>
std::vector<Value> read_list(std::span<const std::uint8_t> file, std::size_t from, std::size_t count) {
  std::vector<Value> values(count);
  if (count > 0) std::memcpy(values.data(), file.data() + from, count * sizeof(Value));
  return values;
}

CachedImages describe(const Header& header, std::shared_ptr<const MappedFile> file) {
  const auto bytes = file->bytes();
  CachedImages images;
  images.shape = {.channels = static_cast<int>(header.channels),
                  .height = static_cast<int>(header.height),
                  .width = static_cast<int>(header.width)};
  images.training = header.training;
  const std::size_t labels = labels_from(header.channels);
  images.byte_counts = read_list<std::uint64_t>(bytes, counts_from, header.channels * kinds_of_bytes);
  images.labels = read_list<Label>(bytes, labels, header.images);
  images.owners = read_list<std::uint32_t>(bytes, labels + header.images * sizeof(Label), header.images);
  images.file = std::move(file);
  images.pixels_from = pixels_from(header.channels, header.room_for);
  return images;
}

}  // namespace

std::uint64_t hash_of(std::string_view text) { return XXH3_64bits(text.data(), text.size()); }

CacheWriter::CacheWriter(const fs::path& path, std::uint64_t key, const ImageShape& shape, std::size_t images)
    : path_(path),
      temporary_(path.string() + fmt::format(".{}.part", getpid())),
      key_(key),
      shape_(shape),
      images_(images) {
  fs::create_directories(path.parent_path());
  file_ = std::make_unique<MappedFile>(temporary_, first_pixel() + images * shape.size());
}

CacheWriter::~CacheWriter() {
  std::error_code gone;
  if (file_) fs::remove(temporary_, gone);
}

std::span<std::uint8_t> CacheWriter::image(std::size_t i) {
  return file_->writable().subspan(first_pixel() + i * shape_.size(), shape_.size());
}

std::size_t CacheWriter::first_pixel() const {
  return pixels_from(static_cast<std::size_t>(shape_.channels), images_);
}

CachedImages CacheWriter::finish(std::size_t training, std::vector<Label> labels,
                                 std::vector<std::uint32_t> owners) {
  Header header{.key = key_,
                .channels = static_cast<std::uint64_t>(shape_.channels),
                .height = static_cast<std::uint64_t>(shape_.height),
                .width = static_cast<std::uint64_t>(shape_.width),
                .images = labels.size(),
                .room_for = images_,
                .training = training};
  const std::span<std::uint8_t> file = file_->writable();
  const auto write = [&file](std::size_t at, const auto& list) {
    if (!list.empty()) std::memcpy(file.data() + at, list.data(), list.size() * sizeof(list.front()));
  };
  const std::size_t first_label = labels_from(header.channels);
  write(first_label, labels);
  write(first_label + labels.size() * sizeof(Label), owners);
  const std::shared_ptr<const MappedFile> whole = std::move(file_);
  labels.resize(training);
  write(counts_from,
        count_bytes(
            {.shape = shape_, .mapped = whole, .mapped_from = first_pixel(), .labels = std::move(labels)}));
  header.pixel_hash = pixel_hash(file.subspan(first_pixel(), header.images * shape_.size()));
  header.hash = header_hash(header, file);
  std::memcpy(file.data(), &header, sizeof(header));
  fs::rename(temporary_, path_);
  return describe(header, whole);
}

std::optional<CachedImages> open_cache(const fs::path& path, std::uint64_t key, bool check_pixels,
                                       std::string& trouble) {
  std::error_code absent;
  if (!fs::exists(path, absent)) return std::nullopt;
  try {
    auto file = std::make_shared<const MappedFile>(path);
    Header header;
    const bool has_header = file->bytes().size() >= sizeof(header);
    if (has_header) std::memcpy(&header, file->bytes().data(), sizeof(header));
    if (has_header && is_of_another_version(header)) return std::nullopt;
    if (!has_header || header.begin != magic) {
      trouble = "it is no cache of images";
      return std::nullopt;
    }
    if (header.key != key) return std::nullopt;  // of images that have changed since
    if (const auto found = trouble_with(header, file->bytes(), check_pixels)) {
      trouble = *found;
      return std::nullopt;
    }
    return describe(header, std::move(file));
  } catch (const std::system_error& error) {
    trouble = error.code().message();
    return std::nullopt;
  }
}

}  // namespace tardigrad::data
