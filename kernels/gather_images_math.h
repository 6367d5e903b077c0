#pragma once

#include "kernels/gather_images.h"
#include "kernels/multiply_add.h"

namespace tardigrad {

/// (pixel/255 − mean)/deviation as pixel·scale + shift, for every channel.
struct Normalization {
  float scale[GatherImages::max_channels];
  float shift[GatherImages::max_channels];
};

TARDIGRAD_HOST_DEVICE inline float normalize(std::uint8_t pixel, float scale, float shift) {
  return multiply_add(scale, static_cast<float>(pixel), shift);
}

/// The normalisation that `gather` asks for.
Normalization normalization_of(const GatherImages& gather);

/// Throws std::logic_error as gather_images.h says.
void check(const GatherImages& gather);

}  // namespace tardigrad
