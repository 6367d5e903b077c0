#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/memory_format.h"
#include "kernels/operation.h"

namespace tardigrad {

/// Describes a batch of images in memory, or of features, which are images of one pixel. It has fewer than
/// 2^32 elements.
struct ImageBatch {
  std::size_t batch = 0;
  std::size_t channels = 0;
  std::size_t pixels = 1;  ///< Of a channel of an image: height · width.
  MemoryFormat format = MemoryFormat::channel_major;

  TARDIGRAD_HOST_DEVICE std::size_t image_size() const { return channels * pixels; }
  TARDIGRAD_HOST_DEVICE std::size_t size() const { return batch * image_size(); }

  bool operator==(const ImageBatch&) const = default;

  /// Tells whether a GPU can number the elements by 32 bits.
  bool is_countable() const { return size() >> 32 == 0; }

  /// Returns the channel of the element that lies at a place.
  TARDIGRAD_HOST_DEVICE std::size_t channel_of(std::size_t place) const {
    const auto at = static_cast<std::uint32_t>(place);
    const auto of = static_cast<std::uint32_t>(channels);
    return format == MemoryFormat::channel_major ? at / static_cast<std::uint32_t>(pixels) % of : at % of;
  }

  /// Returns the number in [batch, channels, pixels] of the element that lies at a place.
  TARDIGRAD_HOST_DEVICE std::size_t number_of(std::size_t place) const {
    if (format == MemoryFormat::channel_major) return place;
    const auto at = static_cast<std::uint32_t>(place);
    const auto row = at / static_cast<std::uint32_t>(channels);
    const auto image = row / static_cast<std::uint32_t>(pixels);
    const auto pixel = row % static_cast<std::uint32_t>(pixels);
    return (image * channels + at % static_cast<std::uint32_t>(channels)) * pixels + pixel;
  }

  /// Returns where the element of that number lies.
  TARDIGRAD_HOST_DEVICE std::size_t place_of(std::size_t number) const {
    // The other way round is the same with the two extents exchanged.
    const ImageBatch exchanged{batch, pixels, channels, MemoryFormat::channels_last};
    return format == MemoryFormat::channel_major ? number : exchanged.number_of(number);
  }
};

}  // namespace tardigrad
