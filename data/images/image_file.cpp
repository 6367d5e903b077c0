#include "data/images/image_file.h"

#include <fmt/format.h>
#include <png.h>
#include <turbojpeg.h>

#include <algorithm>
#include <array>
#include <memory>
#include <stdexcept>
#include <string_view>

#include "data/refuse_file.h"

namespace tardigrad::data {
namespace {

using Path = std::filesystem::path;
using Bytes = std::vector<std::uint8_t>;

enum class Kind { png, jpeg };

Kind kind_of(const Path& path, std::span<const std::uint8_t> file) {
  constexpr std::array<std::uint8_t, 8> png = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
  constexpr std::array<std::uint8_t, 3> jpeg = {0xff, 0xd8, 0xff};
  const auto begins_with = [&](const auto& mark) {
    return file.size() >= mark.size() && std::equal(mark.begin(), mark.end(), file.begin());
  };
  if (begins_with(png)) return Kind::png;
  if (begins_with(jpeg)) return Kind::jpeg;
  refuse_file(path, fmt::format("is no image that can be read, expected {}", readable_images()));
}

void check_sides(const Path& path, int height, int width) {
  if (height >= 1 && width >= 1 && height <= most_side && width <= most_side) return;
  refuse_file(path, fmt::format("has {} by {} pixels, expected 1 to {} on a side", width, height, most_side));
}

/// From pixels with their colours beside each other to one plane a channel.
Bytes to_planes(const Bytes& pixels, std::size_t channels) {
  if (channels == 1) return pixels;
  const std::size_t count = pixels.size() / channels;
  Bytes planes(pixels.size());
  for (std::size_t c = 0; c < channels; ++c) {
    for (std::size_t i = 0; i < count; ++i) planes[c * count + i] = pixels[i * channels + c];
  }
  return planes;
}

/// Is a PNG file that is being read.
class Png {
 public:
  Png(const Path& path, std::span<const std::uint8_t> file) : path_(path) {
    image_.version = PNG_IMAGE_VERSION;
    if (png_image_begin_read_from_memory(&image_, file.data(), file.size()) == 0) refuse_damage();
  }
  ~Png() { png_image_free(&image_); }
  Png(const Png&) = delete;
  Png& operator=(const Png&) = delete;

  ImageHeader header() const {
    check_sides(path_, static_cast<int>(std::min<png_uint_32>(image_.height, most_side + 1)),
                static_cast<int>(std::min<png_uint_32>(image_.width, most_side + 1)));
    return {(image_.format & PNG_FORMAT_FLAG_COLOR) != 0, static_cast<int>(image_.height),
            static_cast<int>(image_.width)};
  }

  Bytes decode(const ImageShape& shape) {
    image_.format = shape.channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
    Bytes pixels(shape.size());
    const png_color black{0, 0, 0};
    if (png_image_finish_read(&image_, &black, pixels.data(), 0, nullptr) == 0) refuse_damage();
    return to_planes(pixels, static_cast<std::size_t>(shape.channels));
  }

 private:
  [[noreturn]] void refuse_damage() {
    const std::string reason = image_.message;
    png_image_free(&image_);
    refuse_file(path_, fmt::format("cannot be decoded: {}, expected a whole PNG", reason));
  }

  Path path_;
  png_image image_{};
};

/// Is a JPEG file that is being read. A thread keeps one decompressor for all.
class Jpeg {
 public:
  Jpeg(const Path& path, std::span<const std::uint8_t> file) : path_(path), file_(file) {
    if (tjDecompressHeader3(reader(), file.data(), file.size(), &width_, &height_, &sampling_, &colours_) !=
        0) {
      refuse_damage();
    }
    check_sides(path, height_, width_);
  }

  ImageHeader header() const { return {colours_ != TJCS_GRAY, height_, width_}; }

  Bytes decode(const ImageShape& shape) {
    Bytes pixels(shape.size());
    const int format = shape.channels == 1 ? TJPF_GRAY : TJPF_RGB;
    // What it warns of, data cut short above all, leaves grey where the image should be.
    constexpr int flags = TJFLAG_ACCURATEDCT | TJFLAG_STOPONWARNING;
    if (tjDecompress2(reader(), file_.data(), file_.size(), pixels.data(), width_, 0, height_, format,
                      flags) != 0) {
      refuse_damage();
    }
    return to_planes(pixels, static_cast<std::size_t>(shape.channels));
  }

 private:
  static tjhandle reader() {
    struct Destroy {
      void operator()(void* handle) const { tjDestroy(handle); }
    };
    thread_local const std::unique_ptr<void, Destroy> handle(tjInitDecompress());
    return handle.get();
  }

  [[noreturn]] void refuse_damage() const {
    std::string_view reason = tjGetErrorStr2(reader());
    reason = reason.substr(0, reason.find('\n'));
    refuse_file(path_, fmt::format("cannot be decoded: {}, expected a whole JPEG", reason));
  }

  Path path_;
  std::span<const std::uint8_t> file_;
  int width_ = 0;
  int height_ = 0;
  int sampling_ = 0;
  int colours_ = 0;
};

/// Calls visit with the file as its kind's reader.
template <typename Visit>
auto visit_file(const Path& path, std::span<const std::uint8_t> file, const Visit& visit) {
  if (kind_of(path, file) == Kind::png) {
    Png png(path, file);
    return visit(png);
  }
  Jpeg jpeg(path, file);
  return visit(jpeg);
}

}  // namespace

std::string readable_images() { return "PNG and JPEG"; }

ImageHeader read_image_header(const Path& path, std::span<const std::uint8_t> file) {
  return visit_file(path, file, [](const auto& reader) { return reader.header(); });
}

std::vector<std::uint8_t> decode_image(const Path& path, std::span<const std::uint8_t> file,
                                       const ImageShape& shape) {
  return visit_file(path, file, [&](auto& reader) {
    const ImageHeader header = reader.header();
    if (header.height != shape.height || header.width != shape.width) {
      refuse_file(path, fmt::format("has {} by {} pixels, expected {} by {}", header.width, header.height,
                                    shape.width, shape.height));
    }
    return reader.decode(shape);
  });
}

}  // namespace tardigrad::data
