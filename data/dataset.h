#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tardigrad::data {

struct ImageShape {
  int channels = 0;
  int height = 0;
  int width = 0;

  /// Returns the number of values of one image.
  std::size_t size() const {
    return static_cast<std::size_t>(channels) * static_cast<std::size_t>(height) *
           static_cast<std::size_t>(width);
  }
  bool operator==(const ImageShape&) const = default;
};

/// Holds labelled images as the files do: one byte a value, a quarter of the memory and traffic of floats.
struct Images {
  ImageShape shape;
  std::vector<std::uint8_t> pixels;  ///< [size(), channels, height, width]
  std::vector<std::uint8_t> labels;  ///< [size()]

  std::size_t size() const { return labels.size(); }

  /// Drops all images but the first `count`; keeps all where there are no more than that.
  void keep_first(std::size_t count) {
    if (count >= size()) return;
    labels.resize(count);
    pixels.resize(count * shape.size());
  }
};

/// Normalises pixels scaled to [0, 1] by channel: a network's input is (pixel / 255 - mean) / deviation.
struct Normalisation {
  std::vector<float> mean;
  std::vector<float> deviation;
};

struct Dataset {
  std::string name;
  Images train;
  Images test;  ///< Of the same shape as `train`.
  int classes = 0;
  std::vector<std::string_view> class_names = {};  ///< [classes], or none.
  Normalisation
      normalisation;  ///< The usual values of the real training set, whatever images the files hold.
};

/// Returns the names load_dataset knows.
std::vector<std::string_view> dataset_names();

/// Returns a folder of this program's in the user's cache: $VARIABLE/NAME where that variable is set, else
/// ${XDG_CACHE_HOME:-$HOME/.cache}/tardigrad/NAME; nothing where none of the three is set.
std::optional<std::filesystem::path> cache_folder(const char* variable, const std::string& name);

/// Returns where tools/fetch_data.sh puts a data set:
/// ${TARDIGRAD_DATA:-${XDG_CACHE_HOME:-$HOME/.cache}/tardigrad}/NAME. Throws std::invalid_argument where none
/// of the three variables is set.
std::filesystem::path default_data_dir(const std::string& name);

/// Reads training and test set `name` from the files in `dir` (idx.h and cifar10.h say which).
/// Throws std::invalid_argument, in one line that names the file and what was expected, for an unknown name,
/// a missing file (the message gives the command that fetches it) and a malformed one.
Dataset load_dataset(const std::string& name, const std::filesystem::path& dir);

}  // namespace tardigrad::data
