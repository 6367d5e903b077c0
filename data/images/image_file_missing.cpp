// Stands in the place of image_file.cpp in a build without libpng or libjpeg-turbo.

#include "data/images/image_file.h"
#include "data/refuse_file.h"

namespace tardigrad::data {
namespace {

[[noreturn]] void refuse_image(const std::filesystem::path& path) {
  refuse_file(path, "this program was built without libpng and libjpeg-turbo, expected one that has both");
}

}  // namespace

std::string readable_images() { return ""; }

ImageHeader read_image_header(const std::filesystem::path& path, std::span<const std::uint8_t>) {
  refuse_image(path);
}

std::vector<std::uint8_t> decode_image(const std::filesystem::path& path, std::span<const std::uint8_t>,
                                       const ImageShape&) {
  refuse_image(path);
}

}  // namespace tardigrad::data
