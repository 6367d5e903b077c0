#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace tardigrad::data {

/// Says which kinds of image files this build reads, "PNG and JPEG"; the text is empty where it reads none.
std::string readable_images();

/// Says how an image is stored, as far as its header tells.
struct ImageHeader {
  bool coloured = false;
  int height = 0;
  int width = 0;
};

/// Reads the header of a PNG or JPEG file (whatever its name) that is in memory. `path` is for messages.
/// Throws std::invalid_argument naming the file where it is neither, is damaged, or has more than 65535
/// pixels on a side.
ImageHeader read_image_header(const std::filesystem::path& path, std::span<const std::uint8_t> file);

/// Decodes such a file to bytes [channels, height, width]: of 3 channels, red, green and blue, or 1, grey;
/// other colours are converted, and what is transparent lies on black. Throws as read_image_header() does,
/// and where the file ends early.
std::vector<std::uint8_t> decode_image(const std::filesystem::path& path, std::span<const std::uint8_t> file,
                                       const ImageShape& shape);

}  // namespace tardigrad::data
