#include "data/images/image_cache.h"

#include <fmt/format.h>
#include <unistd.h>
#include <xxhash.h>

#include <array>
#include <cstring>
#include <system_error>
#include <utility>

namespace tardigrad::data {
namespace {

namespace fs = std::filesystem;

constexpr std::array<char, 8> magic = {'T', 'G', 'I', 'M', 'A', 'G', 'E', '1'};
constexpr std::size_t page = 4096;
/// Pixels beyond that are not hashed when a file is opened: they are to be read when they are needed.
constexpr std::size_t most_hashed = std::size_t{1} << 30;

/// Is what a cache file begins with. Labels and owners follow, then, from a page on, the pixels.
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
  std::uint64_t hash = 0;  // of all before, labels and owners
};
static_assert(sizeof(Header) == 80);

std::size_t pixels_from(std::size_t room_for) {
  const std::size_t before = sizeof(Header) + room_for * (sizeof(Label) + sizeof(std::uint32_t));
  return (before + page - 1) / page * page;
}

std::uint64_t hash_bytes(std::span<const std::uint8_t> bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

/// `file` is the whole file, with labels and owners in it.
std::uint64_t header_hash(Header header, std::span<const std::uint8_t> file) {
  header.hash = 0;
  const std::size_t beside = header.images * (sizeof(Label) + sizeof(std::uint32_t));
  const std::uint64_t of_lists = hash_bytes(file.subspan(sizeof(Header), beside));
  return XXH3_64bits_withSeed(&header, sizeof(header), of_lists);
}

std::uint64_t pixel_hash(std::span<const std::uint8_t> pixels) {
  return hash_bytes(pixels.first(std::min(pixels.size(), most_hashed)));
}

/// Why the file does not hold what its header says; nothing if it does.
std::optional<std::string> trouble_with(const Header& header, std::span<const std::uint8_t> file) {
  constexpr std::uint64_t most_pixels = most_side;
  if (header.channels > 3 || header.height > most_pixels || header.width > most_pixels ||
      header.images > header.room_for || header.training > header.images || header.room_for > file.size()) {
    return "its header is damaged";
  }
  const std::size_t pixels = header.images * header.channels * header.height * header.width;
  const std::size_t from = pixels_from(header.room_for);
  if (from > file.size() || pixels > file.size() - from) return "it is cut short";
  if (header_hash(header, file) != header.hash) return "its header or its labels are damaged";
  if (pixel_hash(file.subspan(from, pixels)) != header.pixel_hash) return "its pixels are damaged";
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
  images.labels = read_list<Label>(bytes, sizeof(Header), header.images);
  images.owners =
      read_list<std::uint32_t>(bytes, sizeof(Header) + header.images * sizeof(Label), header.images);
  images.file = std::move(file);
  images.pixels_from = pixels_from(header.room_for);
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
  file_ = std::make_unique<MappedFile>(temporary_, pixels_from(images) + images * shape.size());
}

CacheWriter::~CacheWriter() {
  std::error_code gone;
  if (file_) fs::remove(temporary_, gone);
}

std::span<std::uint8_t> CacheWriter::image(std::size_t i) {
  return file_->writable().subspan(pixels_from(images_) + i * shape_.size(), shape_.size());
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
  std::memcpy(file.data() + sizeof(Header), labels.data(), labels.size() * sizeof(Label));
  std::memcpy(file.data() + sizeof(Header) + labels.size() * sizeof(Label), owners.data(),
              owners.size() * sizeof(std::uint32_t));
  header.pixel_hash = pixel_hash(file.subspan(pixels_from(images_), labels.size() * shape_.size()));
  header.hash = header_hash(header, file);
  std::memcpy(file.data(), &header, sizeof(header));
  fs::rename(temporary_, path_);
  return describe(header, std::shared_ptr<const MappedFile>(std::move(file_)));
}

std::optional<CachedImages> open_cache(const fs::path& path, std::uint64_t key, std::string& trouble) {
  std::error_code absent;
  if (!fs::exists(path, absent)) return std::nullopt;
  try {
    auto file = std::make_shared<const MappedFile>(path);
    Header header;
    const bool has_header = file->bytes().size() >= sizeof(header);
    if (has_header) std::memcpy(&header, file->bytes().data(), sizeof(header));
    if (!has_header || header.begin != magic) {
      trouble = "it is no cache of images";
      return std::nullopt;
    }
    if (header.key != key) return std::nullopt;  // of images that have changed since
    if (const auto found = trouble_with(header, file->bytes())) {
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
