#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace tardigrad::data {

/// Is an image in a folder, as far as its place says.
struct ListedImage {
  std::filesystem::path path;
  Label label = 0;
  std::uint32_t owner = 0;      ///< the worker whose it is, where folders say so
  std::uint64_t bytes = 0;      ///< of the file
  std::int64_t written_at = 0;  ///< in the file system's units
};

/// Holds the images below a folder, by path.
struct ImageList {
  std::vector<ListedImage> images;
  std::vector<std::string> class_names;  ///< of the labels, sorted
  bool has_owners = false;
};

/// Lists FOLDER/CLASS/IMAGE, or FOLDER/worker_0/CLASS/IMAGE and so on. Throws std::invalid_argument naming
/// the folder: where it cannot be read, has no classes, a class or a worker has no images, or workers are
/// missing between 0 and the last.
ImageList list_images(const std::filesystem::path& folder);

/// Returns the folder of the training images, FOLDER/train or FOLDER itself.
std::filesystem::path training_folder(const std::filesystem::path& folder);

/// Returns the folder of the test images beside FOLDER/train; an empty path where there is none.
std::filesystem::path test_folder(const std::filesystem::path& folder);

}  // namespace tardigrad::data
