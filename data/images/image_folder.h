#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace tardigrad::data {

enum class Colour { automatic, grey, rgb };

struct ImageSize {
  int height = 0;
  int width = 0;
  bool operator==(const ImageSize&) const = default;
};

/// Says how a folder of images is read.
struct ImageOptions {
  std::optional<ImageSize> size = {};  ///< to resize to; nothing: all are of one size
  Colour colour = Colour::automatic;   ///< automatic: grey where all images are
  bool skip_broken = false;            ///< leave out what cannot be decoded
  std::filesystem::path cache = {};    ///< folder for what is decoded; empty: it stays in memory
  bool check_pixels = true;            ///< read those of the cache, to find out whether they are damaged
};

/// Lets whoever reads data take part, since no thread is started here.
struct Reading {
  /// Calls work(i) for every i below `count`, from as many threads as there may be.
  std::function<void(std::size_t count, const std::function<void(std::size_t)>& work)> share_out =
      [](std::size_t count, const auto& work) {
        for (std::size_t i = 0; i < count; ++i) work(i);
      };
  /// Is told, from any of those threads, how many images of how many are decoded.
  std::function<void(std::size_t done, std::size_t count)> progress = [](std::size_t, std::size_t) {};
  /// Is told in a line what a person should know.
  std::function<void(const std::string& line)> say = [](const std::string&) {};
};

/// Holds what a folder of images has.
struct FolderOfImages {
  Images train;
  Images test;
  std::vector<std::string> class_names;  ///< of their folders, sorted
  std::vector<std::uint32_t> owners;     ///< of the training images, where folders worker_0/, … say them
};

/// Reads PNG and JPEG files, a subfolder a class: FOLDER/CLASS/IMAGE, or FOLDER/train/CLASS/IMAGE and test,
/// val or validation beside train. Data that must stay apart lie in FOLDER/worker_0/CLASS/IMAGE (or
/// FOLDER/train/worker_0/…), worker_1 and so on. Where there is no test set, `test_share` of every class
/// becomes one (test_split.h), and with 0 the training set is tested on. Files whose names begin with a dot
/// are passed over.
///
/// What is decoded goes into a file of the cache, from where it is mapped, then and the next time; that file
/// holds names, sizes and times of all images and a hash of its own, and is made anew where one of these
/// is another. Throws std::invalid_argument naming the folder or file: for a folder without classes, classes
/// without images, classes that differ between training and test set, worker folders with gaps, images that
/// cannot be decoded (unless they are skipped), and ones of different sizes where none is asked for.
FolderOfImages read_image_folder(const std::filesystem::path& folder, std::optional<double> test_share,
                                 const ImageOptions& options, const Reading& reading);

}  // namespace tardigrad::data
