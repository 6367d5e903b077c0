#pragma once

#include <cstddef>

namespace tardigrad::models {

/// Says how one example of an image activation lies in memory: [channels / block][height][width][block].
/// Block 1 is channel-major (NCHW), block = channels is channels last (NHWC), and 8 or 16 are the blocked
/// formats of oneDNN, whose last block is padded where the channels don't fill it.
struct ImageLayout {
  int channels = 0;
  int height = 0;
  int width = 0;
  int block = 1;

  std::size_t offset(int channel, int y, int x) const {
    const std::size_t row = static_cast<std::size_t>(channel / block) * height + y;
    return (row * width + x) * block + channel % block;
  }

  /// Returns the floats of one example, padding included.
  std::size_t size() const {
    const std::size_t blocks = (channels + block - 1) / block;
    return blocks * height * width * block;
  }

  bool operator==(const ImageLayout&) const = default;
};

}  // namespace tardigrad::models
