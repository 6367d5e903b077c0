#pragma once

#include <cstdint>
#include <vector>

#include "data/dataset.h"

namespace tardigrad::data {

/// Resizes an image [channels, height, width] to another height and width, by linear interpolation where it
/// grows and by means over triangles twice as wide as a new pixel where it shrinks, first along rows, then
/// along columns (as Pillow's bilinear filter). `to` has as many channels as `from`.
std::vector<std::uint8_t> resize(const std::vector<std::uint8_t>& pixels, const ImageShape& from,
                                 const ImageShape& to);

}  // namespace tardigrad::data
