#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/mapped_file.h"

namespace tardigrad::data {

/// Holds images as they lie in a cache file, one after another: those for training, then those for tests.
struct CachedImages {
  ImageShape shape;
  std::size_t training = 0;
  std::vector<Label> labels;               ///< of all of them
  std::vector<std::uint32_t> owners;       ///< likewise
  std::vector<std::uint64_t> byte_counts;  ///< of those for training (Images)
  std::shared_ptr<const MappedFile> file;
  std::size_t pixels_from = 0;  ///< place of the pixels in the file
};

/// Hashes what a cache file depends on.
std::uint64_t hash_of(std::string_view text);

/// Is a cache file that is being written: beside its place until finish(), which moves it there.
class CacheWriter {
 public:
  /// Makes room for so many images. Throws std::system_error where that cannot be had.
  CacheWriter(const std::filesystem::path& path, std::uint64_t key, const ImageShape& shape,
              std::size_t images);
  ~CacheWriter();
  CacheWriter(const CacheWriter&) = delete;
  CacheWriter& operator=(const CacheWriter&) = delete;

  /// Returns where the pixels of image i go.
  std::span<std::uint8_t> image(std::size_t i);

  /// Writes the rest and moves the file to its place. `labels` and `owners` are of the images, of which there
  /// may be fewer than room was made for; the first `training` are for training. Throws std::system_error.
  CachedImages finish(std::size_t training, std::vector<Label> labels, std::vector<std::uint32_t> owners);

 private:
  std::size_t first_pixel() const;

  std::filesystem::path path_;
  std::filesystem::path temporary_;
  std::uint64_t key_;
  ImageShape shape_;
  std::size_t images_;
  std::unique_ptr<MappedFile> file_;
};

/// Opens a cache file; nothing where there is none of that key, or where it is damaged, which `trouble` then
/// says. Whether pixels are, a gibibyte of them at the most, is found out with `check_pixels` alone: that
/// reads them.
std::optional<CachedImages> open_cache(const std::filesystem::path& path, std::uint64_t key,
                                       bool check_pixels, std::string& trouble);

}  // namespace tardigrad::data
