#include "data/images/image_folder.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <iterator>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "data/images/image_cache.h"
#include "data/images/image_file.h"
#include "data/images/image_list.h"
#include "data/images/resize.h"
#include "data/refuse_file.h"
#include "data/test_split.h"

namespace tardigrad::data {
namespace {

namespace fs = std::filesystem;

using Bytes = std::vector<std::uint8_t>;

Bytes read_bytes(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  Bytes bytes{std::istreambuf_iterator<char>(file), {}};
  if (!file.good() && !file.eof()) refuse_file(path, "cannot be read, expected an image");
  return bytes;
}

/// All images in the order in which they are kept: those for training, then those for tests.
struct Plan {
  std::vector<ListedImage> images = {};
  std::size_t training = 0;
  std::vector<std::string> class_names;
  bool has_owners = false;
};

void require_same_classes(const fs::path& folder, const std::vector<std::string>& expected,
                          const std::vector<std::string>& found, const char* where) {
  for (const std::string& name : expected) {
    if (!std::ranges::binary_search(found, name)) {
      refuse_file(folder, fmt::format("has no class {}, expected it as {} has it", name, where));
    }
  }
}

Plan make_plan(const fs::path& folder, std::optional<double> test_share) {
  constexpr double default_share = 0.1;
  const fs::path train_folder = training_folder(folder);
  const fs::path tests = test_folder(folder);
  ImageList train = list_images(train_folder);
  Plan plan{.class_names = train.class_names, .has_owners = train.has_owners};
  if (!tests.empty()) {
    if (test_share) {
      refuse_file(folder, fmt::format("a test share of {}, and there is a test set: {}", *test_share,
                                      tests.string()));
    }
    const ImageList test = list_images(tests);
    require_same_classes(tests, train.class_names, test.class_names, "the training set");
    require_same_classes(train_folder, test.class_names, train.class_names, "the test set");
    plan.training = train.images.size();
    plan.images = std::move(train.images);
    plan.images.insert(plan.images.end(), test.images.begin(), test.images.end());
    return plan;
  }
  const double share = test_share.value_or(default_share);
  if (share == 0) {
    plan.training = train.images.size();
    plan.images = std::move(train.images);
    return plan;
  }
  std::vector<Label> labels;
  for (const ListedImage& image : train.images) labels.push_back(image.label);
  const TestSplit split = split_off_test(labels, train.class_names.size(), share);
  plan.training = split.train.size();
  for (const auto* part : {&split.train, &split.test}) {
    for (const std::size_t i : *part) plan.images.push_back(train.images[i]);
  }
  return plan;
}

std::string text_of(const ImageOptions& options) {
  return fmt::format("{} {} {} {}", options.size ? options.size->height : 0,
                     options.size ? options.size->width : 0, static_cast<int>(options.colour),
                     options.skip_broken);
}

/// What a cache file is good for.
std::uint64_t key_of(const Plan& plan, const ImageOptions& options) {
  std::string text = text_of(options) + "\n";
  for (std::size_t i = 0; i < plan.images.size(); ++i) {
    const ListedImage& image = plan.images[i];
    text +=
        fmt::format("{} {} {} {}\n", image.path.string(), image.bytes, image.written_at, i < plan.training);
  }
  return hash_of(text);
}

/// Decodes the images of a plan.
class Decoder {
 public:
  Decoder(const Plan& plan, const ImageOptions& options, const Reading& reading)
      : plan_(plan), options_(options), reading_(reading), troubles_(plan.images.size()) {}

  /// Finds out what shape they are to have.
  ImageShape look_at_headers() {
    std::vector<ImageHeader> headers(plan_.images.size());
    for_each([&](std::size_t i) { headers[i] = read_image_header(path(i), read_bytes(path(i))); });
    report_troubles();
    const auto good = [&](std::size_t i) { return troubles_[i].empty(); };
    std::size_t first = 0;
    while (first < headers.size() && !good(first)) ++first;
    if (first == headers.size()) refuse_file(path(0).parent_path(), "no image can be decoded, expected some");
    bool coloured = options_.colour == Colour::rgb;
    for (std::size_t i = first; i < headers.size(); ++i) {
      if (!good(i)) continue;
      coloured |= options_.colour == Colour::automatic && headers[i].coloured;
      const bool same =
          headers[i].height == headers[first].height && headers[i].width == headers[first].width;
      if (!options_.size && !same) {
        refuse_file(
            path(i),
            fmt::format("has {} by {} pixels, expected {} by {} as {} has; an image size to resize to "
                        "makes them one",
                        headers[i].width, headers[i].height, headers[first].width, headers[first].height,
                        path(first).string()));
      }
    }
    const ImageSize size = options_.size.value_or(ImageSize{headers[first].height, headers[first].width});
    return {.channels = coloured ? 3 : 1, .height = size.height, .width = size.width};
  }

  /// Decodes into room(i) of each image.
  template <typename Room>
  void decode(const ImageShape& shape, const Room& room) {
    std::atomic<std::size_t> done = 0;
    for_each([&](std::size_t i) {
      const Bytes file = read_bytes(path(i));
      const ImageHeader header = read_image_header(path(i), file);
      const ImageShape as_it_is{.channels = shape.channels, .height = header.height, .width = header.width};
      std::ranges::copy(resize(decode_image(path(i), file, as_it_is), as_it_is, shape), room(i).begin());
      reading_.progress(++done, plan_.images.size());
    });
    report_troubles();
  }

  /// Returns the numbers of the images that are there, ascending.
  std::vector<std::size_t> whole() const {
    std::vector<std::size_t> numbers;
    for (std::size_t i = 0; i < troubles_.size(); ++i) {
      if (troubles_[i].empty()) numbers.push_back(i);
    }
    return numbers;
  }

 private:
  const fs::path& path(std::size_t i) const { return plan_.images[i].path; }

  /// A thread takes some neighbouring images at once.
  void for_each(const std::function<void(std::size_t)>& work) {
    constexpr std::size_t piece = 64;
    const std::size_t count = plan_.images.size();
    reading_.share_out((count + piece - 1) / piece, [&](std::size_t part) {
      for (std::size_t i = part * piece; i < std::min(count, (part + 1) * piece); ++i) {
        if (!troubles_[i].empty()) continue;
        try {
          work(i);
        } catch (const std::invalid_argument& error) {
          troubles_[i] = error.what();
        }
      }
    });
  }

  void report_troubles() {
    if (options_.skip_broken) return;
    for (const std::string& trouble : troubles_) {
      if (!trouble.empty()) throw std::invalid_argument(trouble);
    }
  }

  const Plan& plan_;
  const ImageOptions& options_;
  const Reading& reading_;
  std::vector<std::string> troubles_;  // with each image; empty: none
};

/// What is kept of the images that are whole: labels, owners, and how many of them are for training.
struct Kept {
  std::vector<Label> labels;
  std::vector<std::uint32_t> owners;
  std::size_t training = 0;
};

Kept keep(const Plan& plan, const std::vector<std::size_t>& whole, const Reading& reading) {
  Kept kept;
  for (const std::size_t i : whole) {
    kept.labels.push_back(plan.images[i].label);
    kept.owners.push_back(plan.images[i].owner);
    kept.training += i < plan.training ? 1 : 0;
  }
  if (whole.size() < plan.images.size()) {
    reading.say(fmt::format("{} of {} images cannot be decoded and are left out",
                            plan.images.size() - whole.size(), plan.images.size()));
  }
  return kept;
}

CachedImages decode_into_cache(const Plan& plan, const ImageOptions& options, const Reading& reading,
                               const fs::path& path, std::uint64_t key) {
  Decoder decoder(plan, options, reading);
  const ImageShape shape = decoder.look_at_headers();
  CacheWriter writer(path, key, shape, plan.images.size());
  decoder.decode(shape, [&](std::size_t i) { return writer.image(i); });
  const std::vector<std::size_t> whole = decoder.whole();
  for (std::size_t to = 0; to < whole.size(); ++to) {
    if (to != whole[to]) std::ranges::copy(writer.image(whole[to]), writer.image(to).begin());
  }
  Kept kept = keep(plan, whole, reading);
  return writer.finish(kept.training, std::move(kept.labels), std::move(kept.owners));
}

FolderOfImages decode_into_memory(const Plan& plan, const ImageOptions& options, const Reading& reading) {
  Decoder decoder(plan, options, reading);
  const ImageShape shape = decoder.look_at_headers();
  Bytes pixels(plan.images.size() * shape.size());
  const auto image = [&](std::size_t i) { return std::span(pixels).subspan(i * shape.size(), shape.size()); };
  decoder.decode(shape, image);
  FolderOfImages folder;
  folder.train.shape = folder.test.shape = shape;
  const std::vector<std::size_t> whole = decoder.whole();
  const Kept kept = keep(plan, whole, reading);
  for (std::size_t k = 0; k < whole.size(); ++k) {
    Images& images = k < kept.training ? folder.train : folder.test;
    images.labels.push_back(kept.labels[k]);
    images.pixels.insert(images.pixels.end(), image(whole[k]).begin(), image(whole[k]).end());
    if (k < kept.training) folder.owners.push_back(kept.owners[k]);
  }
  return folder;
}

FolderOfImages from_cache(const CachedImages& cached) {
  FolderOfImages folder;
  const auto middle = static_cast<std::ptrdiff_t>(cached.training);
  folder.train = {.shape = cached.shape,
                  .mapped = cached.file,
                  .mapped_from = cached.pixels_from,
                  .labels = {cached.labels.begin(), cached.labels.begin() + middle},
                  .byte_counts = cached.byte_counts};
  folder.test = {.shape = cached.shape,
                 .mapped = cached.file,
                 .mapped_from = cached.pixels_from + cached.training * cached.shape.size(),
                 .labels = {cached.labels.begin() + middle, cached.labels.end()}};
  folder.owners = {cached.owners.begin(), cached.owners.begin() + middle};
  return folder;
}

FolderOfImages read_plan(const fs::path& folder, const Plan& plan, const ImageOptions& options,
                         const Reading& reading) {
  if (options.cache.empty()) return decode_into_memory(plan, options, reading);
  const std::uint64_t key = key_of(plan, options);
  const std::string name = fs::absolute(folder).lexically_normal().string() + "\n" + text_of(options);
  const fs::path path = options.cache / fmt::format("{:016x}.images", hash_of(name));
  std::string trouble;
  if (const auto cached = open_cache(path, key, options.check_pixels, trouble)) return from_cache(*cached);
  if (!trouble.empty()) {
    reading.say(fmt::format("{}: {}; the images are decoded anew", path.string(), trouble));
  }
  try {
    return from_cache(decode_into_cache(plan, options, reading, path, key));
  } catch (const std::system_error& error) {
    reading.say(fmt::format("{}: cannot be written: {}; what is decoded stays in memory", path.string(),
                            error.code().message()));
  }
  return decode_into_memory(plan, options, reading);
}

}  // namespace

FolderOfImages read_image_folder(const fs::path& folder, std::optional<double> test_share,
                                 const ImageOptions& options, const Reading& reading) {
  const Plan plan = make_plan(folder, test_share);
  FolderOfImages found = read_plan(folder, plan, options, reading);
  found.class_names = plan.class_names;
  if (!plan.has_owners) found.owners.clear();
  if (found.test.size() == 0 && plan.training == plan.images.size()) found.test = found.train;
  return found;
}

}  // namespace tardigrad::data
