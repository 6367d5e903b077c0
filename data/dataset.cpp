#include "data/dataset.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <stdexcept>
#include <system_error>

#include "data/cifar10.h"
#include "data/idx.h"

namespace tardigrad::data {
namespace {

using Path = std::filesystem::path;

constexpr int classes_of_each = 10;

enum class Format { idx, cifar10 };

struct KnownDataset {
  std::string_view name;
  Format format;
  Normalisation normalisation;
  std::vector<std::string_view> class_names;
};

const std::array<KnownDataset, 3>& known_datasets() {
  static const std::array<KnownDataset, 3> known = {{
      {"fashion-mnist",
       Format::idx,
       {{0.2860F}, {0.3530F}},
       {"T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag",
        "ankle boot"}},
      {"mnist",
       Format::idx,
       {{0.1307F}, {0.3081F}},
       {"zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"}},
      {"cifar10",
       Format::cifar10,
       {{0.4914F, 0.4822F, 0.4465F}, {0.2470F, 0.2435F, 0.2616F}},
       {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"}},
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

/// The first of `spellings`, names in circulation for the same file, that `dir` holds.
Path find_file(const std::string& name, const Path& dir, const std::vector<std::string>& spellings) {
  for (const std::string& spelling : spellings) {
    std::error_code unreachable;  // A folder we may not look into: as good as missing.
    if (std::filesystem::exists(dir / spelling, unreachable)) return dir / spelling;
  }
  throw std::invalid_argument(
      fmt::format("{}: no such file; expected the files of {}, which `tools/fetch_data.sh {} '{}'` fetches",
                  (dir / spellings.front()).string(), name, name, dir.string()));
}

Images load_idx_part(const std::string& name, const Path& dir, const std::string& part) {
  const auto find = [&](const std::string& kind, const std::string& rank) {
    const std::string plain = fmt::format("{}-{}-idx{}-ubyte", part, kind, rank);
    const std::string dotted = fmt::format("{}-{}.idx{}-ubyte", part, kind, rank);
    return find_file(name, dir, {plain, plain + ".gz", dotted, dotted + ".gz"});
  };
  return read_idx_images(find("images", "3"), find("labels", "1"), classes_of_each);
}

void load_idx(Dataset& dataset, const Path& dir) {
  dataset.train = load_idx_part(dataset.name, dir, "train");
  dataset.test = load_idx_part(dataset.name, dir, "t10k");
  const ImageShape& train = dataset.train.shape;
  const ImageShape& test = dataset.test.shape;
  if (train != test) {
    throw std::invalid_argument(fmt::format("{}: test images are {}×{}, expected {}×{} as in training",
                                            dir.string(), test.height, test.width, train.height,
                                            train.width));
  }
}

void load_cifar10(Dataset& dataset, const Path& dir) {
  const auto find = [&](const std::string& file) {
    return find_file(dataset.name, dir, {file, "cifar-10-batches-bin/" + file});
  };
  std::vector<Path> batches;
  for (int batch = 1; batch <= 5; ++batch) batches.push_back(find(fmt::format("data_batch_{}.bin", batch)));
  dataset.train = read_cifar10(batches);
  dataset.test = read_cifar10({find("test_batch.bin")});
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

Dataset load_dataset(const std::string& name, const Path& dir) {
  const KnownDataset& known = find_dataset(name);
  Dataset dataset{.name = name,
                  .train = {},
                  .test = {},
                  .classes = classes_of_each,
                  .class_names = known.class_names,
                  .normalisation = known.normalisation};
  switch (known.format) {
    case Format::idx:
      load_idx(dataset, dir);
      break;
    case Format::cifar10:
      load_cifar10(dataset, dir);
      break;
  }
  return dataset;
}

}  // namespace tardigrad::data
