#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/mapped_file.h"

namespace tardigrad::data {

/// Says whether pixels are read at once, or stay in files that have them one behind the other, uncompressed,
/// from where each is read when it is looked at. Such a file must then stay as it is.
enum class PixelAccess { read, mapped };

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

/// Is the number of an example's class, counted from 0.
using Label = std::uint16_t;
inline constexpr std::size_t most_classes = 65536;

/// Is the most pixels that an image has on a side.
inline constexpr int most_side = 65535;

/// Holds labelled examples: images as their files have them, a byte a value, which is a quarter of the memory
/// and traffic of floats; or floats, where the files have those. Rows of features are images of one channel
/// and one row.
struct Images {
  ImageShape shape;
  std::vector<std::uint8_t> pixels = {};          ///< [size(), channels, height, width], or none
  std::vector<float> values = {};                 ///< the same, or none
  std::shared_ptr<const MappedFile> mapped = {};  ///< holds the pixels where those are none of the above
  std::size_t mapped_from = 0;                    ///< place of the first of them in that file
  std::vector<Label> labels = {};                 ///< [size()]
  /// Says how often each byte comes in each channel, [channels, 256], where that has been counted already.
  std::vector<std::uint64_t> byte_counts = {};

  std::size_t size() const { return labels.size(); }
  bool in_floats() const { return !values.empty(); }
  /// Returns the pixels, wherever they are.
  std::span<const std::uint8_t> bytes() const {
    return mapped ? mapped->bytes().subspan(mapped_from, size() * shape.size()) : std::span(pixels);
  }

  /// Drops all images but the first `count`; keeps all where there are no more than that.
  void keep_first(std::size_t count) {
    if (count >= size()) return;
    labels.resize(count);
    byte_counts.clear();
    if (!values.empty()) values.resize(count * shape.size());
    if (!pixels.empty()) pixels.resize(count * shape.size());
  }
};

/// Normalises pixels scaled to [0, 1] by channel: a network's input is (pixel / 255 - mean) / deviation. Data
/// in floats are normalised when they are read, and what is left to do is nothing: means 0, deviations 1.
struct Normalisation {
  std::vector<float> mean;
  std::vector<float> deviation;
};

struct Dataset {
  std::string name;
  Images train;
  Images test;  ///< Of the same shape as `train`.
  int classes = 0;
  std::vector<std::string> class_names = {};  ///< [classes], or none.
  /// Says which worker has each training example, where the data say it.
  std::vector<std::uint32_t> owners = {};
  Normalisation normalisation;

  /// Returns the name of a class, or its number where the classes have no names.
  std::string class_name(std::size_t label) const {
    return label < class_names.size() ? class_names[label] : std::to_string(label);
  }
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

/// Reads training and test set `name` from the files in `dir` (formats/idx.h and formats/cifar.h say which),
/// or in the folders below it that their archives and torchvision make. The normalisation is the usual one of
/// the real training set, whatever images the files hold. Throws std::invalid_argument, in one line that
/// names the file and what was expected, for an unknown name, a missing file (the message gives the command
/// that fetches it) and a malformed one.
Dataset load_dataset(const std::string& name, const std::filesystem::path& dir,
                     PixelAccess access = PixelAccess::read);

}  // namespace tardigrad::data
