#include "data/images/image_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <system_error>

#include "data/formats/number_text.h"
#include "data/refuse_file.h"

namespace tardigrad::data {
namespace {

namespace fs = std::filesystem;

/// What the folder holds, by name, but for what is hidden.
std::vector<fs::directory_entry> entries_of(const fs::path& folder) {
  std::vector<fs::directory_entry> entries;
  try {
    for (const auto& entry : fs::directory_iterator(folder)) {
      if (!entry.path().filename().string().starts_with('.')) entries.push_back(entry);
    }
  } catch (const fs::filesystem_error& error) {
    refuse_file(folder,
                fmt::format("cannot be read: {}; expected a folder of images", error.code().message()));
  }
  std::ranges::sort(entries);
  return entries;
}

std::vector<fs::path> folders_in(const fs::path& folder) {
  std::vector<fs::path> folders;
  for (const fs::directory_entry& entry : entries_of(folder)) {
    if (entry.is_directory()) folders.push_back(entry.path());
  }
  return folders;
}

/// The number of a folder worker_N.
std::optional<std::uint32_t> worker_of(const fs::path& folder) {
  constexpr std::string_view prefix = "worker_";
  const std::string name = folder.filename().string();
  if (!name.starts_with(prefix)) return std::nullopt;
  return parse_number<std::uint32_t>(std::string_view(name).substr(prefix.size()));
}

class Lister {
 public:
  void add_classes(const fs::path& folder, std::uint32_t owner) {
    const std::vector<fs::path> classes = folders_in(folder);
    if (classes.empty()) refuse_file(folder, "has no subfolders, expected one for each class");
    for (const fs::path& one : classes) add_class(one, owner);
  }

  /// Numbers the classes.
  ImageList take() {
    ImageList list;
    if (classes_.size() > most_classes) {
      throw std::invalid_argument(fmt::format("{} classes", classes_.size()));
    }
    for (auto& [name, images] : classes_) {
      for (ListedImage& image : images) {
        image.label = static_cast<Label>(list.class_names.size());
        list.images.push_back(std::move(image));
      }
      list.class_names.push_back(name);
    }
    std::ranges::sort(list.images, {}, &ListedImage::path);
    return list;
  }

 private:
  void add_class(const fs::path& folder, std::uint32_t owner) {
    std::vector<ListedImage>& images = classes_[folder.filename().string()];
    const std::size_t before = images.size();
    for (const fs::directory_entry& entry : entries_of(folder)) {
      if (!entry.is_regular_file()) continue;
      images.push_back({.path = entry.path(),
                        .label = 0,
                        .owner = owner,
                        .bytes = entry.file_size(),
                        .written_at = entry.last_write_time().time_since_epoch().count()});
    }
    if (images.size() == before) refuse_file(folder, "has no images, expected some of the class");
  }

  std::map<std::string, std::vector<ListedImage>> classes_;
};

bool is_folder(const fs::path& path) {
  std::error_code absent;
  return fs::is_directory(path, absent);
}

}  // namespace

ImageList list_images(const fs::path& folder) {
  const std::vector<fs::path> folders = folders_in(folder);
  Lister lister;
  if (folders.empty() || !worker_of(folders.front())) {
    lister.add_classes(folder, 0);
    return lister.take();
  }
  std::vector<bool> present(folders.size());
  for (const fs::path& one : folders) {
    const auto worker = worker_of(one);
    if (!worker || *worker >= present.size()) {
      refuse_file(one, fmt::format("expected worker_0 to worker_{} in its place", folders.size() - 1));
    }
    if (present[*worker]) refuse_file(one, fmt::format("is worker {} for the second time", *worker));
    present[*worker] = true;
    lister.add_classes(one, *worker);
  }
  ImageList list = lister.take();
  list.has_owners = true;
  return list;
}

fs::path training_folder(const fs::path& folder) {
  return is_folder(folder / "train") ? folder / "train" : folder;
}

fs::path test_folder(const fs::path& folder) {
  if (!is_folder(folder / "train")) return {};
  for (const char* const name : {"test", "val", "valid", "validation"}) {
    if (is_folder(folder / name)) return folder / name;
  }
  return {};
}

}  // namespace tardigrad::data
