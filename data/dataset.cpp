#include "data/dataset.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "data/formats/cifar.h"
#include "data/formats/idx.h"

namespace tardigrad::data {
namespace {

using Path = std::filesystem::path;

enum class Format { idx, cifar10, cifar100 };

struct KnownDataset {
  std::string_view name;
  Format format;
  std::string_view torchvision_folder;
  int classes;
  Normalisation normalisation;
  std::vector<std::string> class_names;
  std::string_view published_by = {};  ///< where tools/fetch_data.sh does not fetch it

  /// Says who has its files, for a message.
  std::string source(const Path& dir) const {
    if (!published_by.empty()) return fmt::format("{} has", published_by);
    return fmt::format("`tools/fetch_data.sh {} '{}'` fetches", name, dir.string());
  }
};

const std::array<KnownDataset, 4>& known_datasets() {
  static const std::array<KnownDataset, 4> known = {{
      {"fashion-mnist",
       Format::idx,
       "FashionMNIST/raw/",
       10,
       {{0.2860F}, {0.3530F}},
       {"T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag",
        "ankle boot"}},
      {"mnist",
       Format::idx,
       "MNIST/raw/",
       10,
       {{0.1307F}, {0.3081F}},
       {"zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"}},
      {"cifar10",
       Format::cifar10,
       "cifar-10-batches-py/",
       10,
       {{0.4914F, 0.4822F, 0.4465F}, {0.2470F, 0.2435F, 0.2616F}},
       {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"}},
      {"cifar100",
       Format::cifar100,
       "cifar-100-python/",
       100,
       {{0.5071F, 0.4865F, 0.4409F}, {0.2673F, 0.2564F, 0.2762F}},
       {},
       "www.cs.toronto.edu/~kriz/cifar.html (the binary version)"},
  }};
  return known;
}

const KnownDataset& find_dataset(const std::string& name) {
  const auto& known = known_datasets();
  const auto found = std::ranges::find(known, name, &KnownDataset::name);
  if (found == known.end()) {
    std::string names;
    for (const std::string_view other : dataset_names()) names += fmt::format(" {}", other);
    throw std::invalid_argument(fmt::format("unknown data set '{}'; expected one of{}", name, names));
  }
  return *found;
}

/// A folder we may not look into is as good as missing.
bool has_file(const Path& path) {
  std::error_code unreachable;
  return std::filesystem::exists(path, unreachable);
}

/// The first of `spellings`, names in circulation for the same file, that `dir` holds.
Path find_file(const KnownDataset& known, const Path& dir, const std::vector<std::string>& spellings) {
  for (const std::string& spelling : spellings) {
    if (has_file(dir / spelling)) return dir / spelling;
  }
  throw std::invalid_argument(fmt::format("{}: no such file; expected the files of {}, which {}",
                                          (dir / spellings.front()).string(), known.name, known.source(dir)));
}

Images load_idx_part(const KnownDataset& known, const Path& dir, const std::string& part,
                     PixelAccess access) {
  const auto find = [&](const std::string& kind, const std::string& rank) {
    std::vector<std::string> spellings;
    for (const std::string_view folder : {std::string_view(), known.torchvision_folder}) {
      const std::string plain = fmt::format("{}{}-{}-idx{}-ubyte", folder, part, kind, rank);
      const std::string dotted = fmt::format("{}{}-{}.idx{}-ubyte", folder, part, kind, rank);
      spellings.insert(spellings.end(), {plain, plain + ".gz", dotted, dotted + ".gz"});
    }
    return find_file(known, dir, spellings);
  };
  return read_idx_images(find("images", "3"), find("labels", "1"), known.classes, access);
}

void load_idx(const KnownDataset& known, Dataset& dataset, const Path& dir, PixelAccess access) {
  dataset.train = load_idx_part(known, dir, "train", access);
  dataset.test = load_idx_part(known, dir, "t10k", access);
  const ImageShape& train = dataset.train.shape;
  const ImageShape& test = dataset.test.shape;
  if (train != test) {
    throw std::invalid_argument(fmt::format("{}: test images are {}×{}, expected {}×{} as in training",
                                            dir.string(), test.height, test.width, train.height,
                                            train.width));
  }
}

/// Of the two versions the binary one, where both are there.
void load_cifar10(const KnownDataset& known, Dataset& dataset, const Path& dir) {
  const Path pickles = dir / known.torchvision_folder;
  const bool in_python = !has_file(dir / "data_batch_1.bin") && !has_file(dir / "cifar-10-batches-bin") &&
                         has_file(pickles / "data_batch_1");
  const auto find = [&](const std::string& file) {
    if (in_python) return pickles / file;
    return find_file(known, dir, {file + ".bin", "cifar-10-batches-bin/" + file + ".bin"});
  };
  std::vector<Path> batches;
  for (int batch = 1; batch <= 5; ++batch) batches.push_back(find(fmt::format("data_batch_{}", batch)));
  const auto read = in_python ? read_cifar_pickles : read_cifar;
  dataset.train = read(batches, cifar10_records);
  dataset.test = read({find("test_batch")}, cifar10_records);
}

/// The names of its classes lie beside the images.
void load_cifar100(const KnownDataset& known, Dataset& dataset, const Path& dir) {
  const Path pickles = dir / known.torchvision_folder;
  if (!has_file(dir / "train.bin") && !has_file(dir / "cifar-100-binary") && has_file(pickles / "train")) {
    dataset.train = read_cifar_pickles({pickles / "train"}, cifar100_records);
    dataset.test = read_cifar_pickles({pickles / "test"}, cifar100_records);
    if (has_file(pickles / "meta")) {
      dataset.class_names = read_cifar_names(pickles / "meta", "fine_label_names");
    }
  } else {
    const auto find = [&](const std::string& file) {
      return find_file(known, dir, {file, "cifar-100-binary/" + file});
    };
    const Path train = find("train.bin");
    dataset.train = read_cifar({train}, cifar100_records);
    dataset.test = read_cifar({find("test.bin")}, cifar100_records);
    std::ifstream names(train.parent_path() / "fine_label_names.txt");
    for (std::string line; std::getline(names, line);) {
      if (!line.empty()) dataset.class_names.push_back(line);
    }
  }
  if (std::cmp_not_equal(dataset.class_names.size(), dataset.classes)) dataset.class_names.clear();
}

std::string environment(const char* variable) {
  const char* const value = std::getenv(variable);
  return value == nullptr ? "" : value;
}

}  // namespace

std::vector<std::string_view> dataset_names() {
  std::vector<std::string_view> names;
  for (const KnownDataset& known : known_datasets()) names.push_back(known.name);
  return names;
}

std::optional<Path> cache_folder(const char* variable, const std::string& name) {
  if (const std::string root = environment(variable); !root.empty()) return Path(root) / name;
  if (const std::string cache = environment("XDG_CACHE_HOME"); !cache.empty()) {
    return Path(cache) / "tardigrad" / name;
  }
  if (const std::string home = environment("HOME"); !home.empty()) {
    return Path(home) / ".cache" / "tardigrad" / name;
  }
  return std::nullopt;
}

Path default_data_dir(const std::string& name) {
  if (auto folder = cache_folder("TARDIGRAD_DATA", name)) return *std::move(folder);
  throw std::invalid_argument(fmt::format(
      "no folder to look for {} in: expected one of TARDIGRAD_DATA, XDG_CACHE_HOME and HOME to be set",
      name));
}

Dataset load_dataset(const std::string& name, const Path& dir, PixelAccess access) {
  const KnownDataset& known = find_dataset(name);
  Dataset dataset{.name = name,
                  .train = {},
                  .test = {},
                  .classes = known.classes,
                  .class_names = known.class_names,
                  .normalisation = known.normalisation};
  switch (known.format) {
    case Format::idx:
      load_idx(known, dataset, dir, access);
      break;
    case Format::cifar10:
      load_cifar10(known, dataset, dir);
      break;
    case Format::cifar100:
      load_cifar100(known, dataset, dir);
      break;
  }
  return dataset;
}

}  // namespace tardigrad::data
