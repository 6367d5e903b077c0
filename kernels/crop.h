#pragma once

#include <cstdint>

#include "kernels/random.h"

namespace tardigrad {

/// Says which part of an image is taken, and whether it is mirrored: the augmentation of a training image.
/// Pixel (y, x) of the result is pixel (y + dy, x + dx) of the image, or 0 where that is outside of it; with
/// `flip` the result is then mirrored left to right.
struct Crop {
  std::int8_t dy = 0;
  std::int8_t dx = 0;
  std::uint8_t flip = 0;  ///< 0 or 1

  bool operator==(const Crop&) const = default;
};

/// Draws what torchvision's RandomCrop(size of the image, padding) and then RandomHorizontalFlip do: dy and
/// dx uniform in [−padding, padding], and a flip half of the time. 0 ≤ padding ≤ 127.
constexpr Crop random_crop(Random& random, int padding) {
  const auto shift = [&] {
    const auto bound = static_cast<std::uint32_t>(2 * padding + 1);
    return static_cast<std::int8_t>(static_cast<int>(random.below(bound)) - padding);
  };
  const std::int8_t dy = shift();
  const std::int8_t dx = shift();
  return {dy, dx, static_cast<std::uint8_t>(random.below(2))};
}

}  // namespace tardigrad
