#include "kernels/gather_images.h"

#include <algorithm>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/gather_images_math.h"
#include "kernels/require.h"

namespace tardigrad {
namespace {

/// Of an image, so that a GPU may number its pixels by an int.
constexpr std::size_t max_side = 32768;

/// One channel of one image: converted, multiplied and added a vector at a time (a third faster than a table
/// of 256 values).
template <typename Pixel, typename Number>
void normalize_plane(std::size_t pixels, const Pixel* __restrict from, float scale, float shift,
                     Number* __restrict to) {
  for (std::size_t i = 0; i < pixels; ++i) to[i] = nearest<Number>(normalize(from[i], scale, shift));
}

/// The same with the results `stride` elements apart.
template <typename Pixel, typename Number>
void normalize_plane(std::size_t pixels, const Pixel* __restrict from, float scale, float shift,
                     Number* __restrict to, std::size_t stride) {
  for (std::size_t i = 0; i < pixels; ++i) to[i * stride] = nearest<Number>(normalize(from[i], scale, shift));
}

/// What `crop` makes of one channel of an image: moves the part that is inside row by row.
template <typename Pixel>
void crop_plane(std::size_t height, std::size_t width, const Pixel* from, Crop crop, std::vector<Pixel>& to) {
  to.assign(height * width, 0);
  const auto clamp = [](std::ptrdiff_t i, std::size_t size) {
    return static_cast<std::size_t>(std::clamp(i, std::ptrdiff_t{0}, static_cast<std::ptrdiff_t>(size)));
  };
  const auto begin_y = clamp(-crop.dy, height);
  const auto end_y = clamp(static_cast<std::ptrdiff_t>(height) - crop.dy, height);
  const auto begin_x = clamp(-crop.dx, width);
  const auto end_x = clamp(static_cast<std::ptrdiff_t>(width) - crop.dx, width);
  for (std::size_t y = begin_y; y < end_y; ++y) {
    const auto row = to.begin() + static_cast<std::ptrdiff_t>(y * width);
    if (begin_x < end_x) {
      const std::ptrdiff_t from_y = static_cast<std::ptrdiff_t>(y) + crop.dy;
      const std::ptrdiff_t from_x = static_cast<std::ptrdiff_t>(begin_x) + crop.dx;
      std::copy_n(from + from_y * static_cast<std::ptrdiff_t>(width) + from_x, end_x - begin_x,
                  row + static_cast<std::ptrdiff_t>(begin_x));
    }
    if (crop.flip != 0) std::reverse(row, row + static_cast<std::ptrdiff_t>(width));
  }
}

void check_indices(const GatherImages& gather) {
  for (std::size_t k = 0; k < gather.batch; ++k) {
    if (gather.indices[k] >= gather.count) {
      throw std::out_of_range(std::string(GatherImages::name) + ": index " +
                              std::to_string(gather.indices[k]) + " at position " + std::to_string(k) +
                              ", expected below " + std::to_string(gather.count));
    }
  }
}

}  // namespace

Normalization normalization_of(const GatherImages& gather) {
  Normalization normalization{};
  for (std::size_t c = 0; c < gather.channels; ++c) {
    const auto deviation = static_cast<double>(gather.deviation[c]);
    normalization.scale[c] = static_cast<float>(1 / (255 * deviation));
    normalization.shift[c] = static_cast<float>(-static_cast<double>(gather.mean[c]) / deviation);
  }
  return normalization;
}

void check(const GatherImages& gather) {
  const std::string prefix = std::string(GatherImages::name) + ": ";
  if (gather.channels == 0 || gather.channels > GatherImages::max_channels) {
    throw std::logic_error(prefix + std::to_string(gather.channels) + " channels, expected 1 to " +
                           std::to_string(GatherImages::max_channels));
  }
  const bool exact = gather.out_format == MemoryFormat::channel_major;
  const std::size_t out_channels = out_channels_of(gather);
  if (out_channels < gather.channels || (exact && out_channels > gather.channels)) {
    throw std::logic_error(prefix + std::to_string(out_channels) + " output channels, expected " +
                           std::to_string(gather.channels) + (exact ? "" : " or more"));
  }
  for (std::size_t c = 0; c < gather.channels; ++c) {
    if (gather.deviation[c] == 0) {
      throw std::logic_error(prefix + "the deviation of channel " + std::to_string(c) + " is 0");
    }
  }
  require<GatherImages>(gather.height <= max_side && gather.width <= max_side,
                        "an image of more than 32768 pixels in height or width");
  require<GatherImages>((gather.images != nullptr || gather.values != nullptr) && gather.labels != nullptr &&
                            gather.indices != nullptr && gather.out_labels != nullptr &&
                            (gather.out_images != nullptr || gather.out_images_bf16 != nullptr),
                        "a pointer is null");
  require<GatherImages>(gather.images == nullptr || gather.values == nullptr,
                        "images and values are given, expected one of them");
  require<GatherImages>(gather.out_images == nullptr || gather.out_images_bf16 == nullptr,
                        "out_images and out_images_bf16 are given, expected one of them");
}

namespace {

/// All channels of example `k`. `cropped` is scratch.
template <typename Pixel, typename Number>
void gather_image(const GatherImages& gather, const Pixel* images, const Normalization& normalization,
                  std::size_t k, Number* out, std::vector<Pixel>& cropped) {
  const std::size_t pixels = gather.height * gather.width;
  const bool channel_major = gather.out_format == MemoryFormat::channel_major;
  const std::size_t stride = channel_major ? 1 : out_channels_of(gather);
  out += k * pixels * out_channels_of(gather);
  for (std::size_t c = 0; c < gather.channels; ++c) {
    const Pixel* plane = images + (gather.indices[k] * gather.channels + c) * pixels;
    if (gather.crops != nullptr) {
      crop_plane(gather.height, gather.width, plane, gather.crops[k], cropped);
      plane = cropped.data();
    }
    Number* const to = out + c * (channel_major ? pixels : 1);
    const float scale = normalization.scale[c];
    const float shift = normalization.shift[c];
    stride == 1 ? normalize_plane(pixels, plane, scale, shift, to)
                : normalize_plane(pixels, plane, scale, shift, to, stride);
  }
  for (std::size_t c = gather.channels; c < out_channels_of(gather); ++c) {
    for (std::size_t i = 0; i < pixels; ++i) out[i * stride + c] = Number{};
  }
}

/// So many images are on their way from memory at once.
constexpr std::size_t images_ahead = 4;

/// Asks for the first lines of image `k` of the batch, if there is one: it may lie anywhere.
template <typename Pixel>
void fetch(const GatherImages& gather, const Pixel* images, std::size_t k) {
  constexpr std::size_t most_bytes = 1024;  // the processor sees by itself how a longer one goes on
  constexpr std::size_t line = 64;
  if (k >= gather.batch) return;
  const std::size_t size = gather.channels * gather.height * gather.width;
  const auto* bytes = reinterpret_cast<const char*>(images + gather.indices[k] * size);
  for (std::size_t i = 0; i < std::min(size * sizeof(Pixel), most_bytes); i += line) {
    __builtin_prefetch(bytes + i);
  }
}

}  // namespace

void GatherImages::run() const {
  if (batch == 0) return;
  check(*this);
  check_indices(*this);
  const Normalization normalization = normalization_of(*this);
  for (std::size_t k = 0; k < batch; ++k) out_labels[k] = labels[indices[k]];
  visit_input(*this, [&]<typename Pixel>(const Pixel* source) {
    std::vector<Pixel> cropped;
    for (std::size_t k = 0; k < images_ahead; ++k) fetch(*this, source, k);
    visit_output(*this, [&](auto* out) {
      for (std::size_t k = 0; k < batch; ++k) {
        fetch(*this, source, k + images_ahead);
        gather_image(*this, source, normalization, k, out, cropped);
      }
    });
  });
}

double GatherImages::bytes() const {
  const std::size_t number_bytes = out_images_bf16 != nullptr ? sizeof(Bf16) : sizeof(float);
  const std::size_t given_bytes = values != nullptr ? sizeof(float) : sizeof(std::uint8_t);
  const double pixel_bytes =
      static_cast<double>(channels * given_bytes + out_channels_of(*this) * number_bytes);
  const double label_bytes = sizeof(std::uint16_t) + sizeof(std::int32_t);
  const double crop_bytes = crops != nullptr ? sizeof(Crop) : 0;
  return static_cast<double>(batch) * (static_cast<double>(height * width) * pixel_bytes + label_bytes +
                                       sizeof(std::uint32_t) + crop_bytes);
}

double GatherImages::flops() const { return 2.0 * static_cast<double>(batch * channels * height * width); }

}  // namespace tardigrad
