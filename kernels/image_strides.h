#pragma once

#include <cstddef>

#include "kernels/memory_format.h"
#include "kernels/operation.h"

namespace tardigrad {

/// Holds distances in elements between neighbours of a batch of images.
struct ImageStrides {
  std::size_t image, channel, row, pixel;
};

/// Returns those of images of a shape.
TARDIGRAD_HOST_DEVICE inline ImageStrides strides_of(MemoryFormat format, std::size_t channels,
                                                     std::size_t height, std::size_t width) {
  const std::size_t image = channels * height * width;
  return format == MemoryFormat::channel_major ? ImageStrides{image, height * width, width, 1}
                                               : ImageStrides{image, 1, width * channels, channels};
}

}  // namespace tardigrad
