#pragma once

#include "kernels/gather_images.h"
#include "kernels/multiply_add.h"
#include "kernels/visit_constant.h"

namespace tardigrad {

/// Writes (pixel/255 − mean)/deviation as pixel·scale + shift, for every channel.
struct Normalization {
  float scale[GatherImages::max_channels];
  float shift[GatherImages::max_channels];
};

TARDIGRAD_HOST_DEVICE inline float normalize(std::uint8_t pixel, float scale, float shift) {
  return multiply_add(scale, static_cast<float>(pixel), shift);
}

/// Leaves what is no byte as it is.
TARDIGRAD_HOST_DEVICE inline float normalize(float value, float /*scale*/, float /*shift*/) { return value; }

/// Returns pixel (y, x) of what `crop` makes of a channel of an image.
template <typename Pixel>
TARDIGRAD_HOST_DEVICE inline Pixel cropped_pixel(const Pixel* plane, int height, int width, Crop crop, int y,
                                                 int x) {
  const int from_y = y + crop.dy;
  const int from_x = (crop.flip != 0 ? width - 1 - x : x) + crop.dx;
  const bool inside = 0 <= from_y && from_y < height && 0 <= from_x && from_x < width;
  return inside ? plane[static_cast<std::size_t>(from_y) * static_cast<std::size_t>(width) +
                        static_cast<std::size_t>(from_x)]
                : Pixel{0};
}

/// Returns the normalisation that `gather` asks for.
Normalization normalization_of(const GatherImages& gather);

inline std::size_t out_channels_of(const GatherImages& gather) {
  return gather.out_channels != 0 ? gather.out_channels : gather.channels;
}

/// Calls `visit` with that one of the two outputs that is given.
template <typename Visit>
void visit_output(const GatherImages& gather, const Visit& visit) {
  gather.out_images != nullptr ? visit(gather.out_images) : visit(gather.out_images_bf16);
}

/// Calls `visit` with that one of the two inputs that is given.
template <typename Visit>
void visit_input(const GatherImages& gather, const Visit& visit) {
  gather.images != nullptr ? visit(gather.images) : visit(gather.values);
}

/// Throws std::logic_error as gather_images.h says.
void check(const GatherImages& gather);

}  // namespace tardigrad
