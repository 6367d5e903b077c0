#pragma once

namespace tardigrad {

/// Says how a batch of images lies in memory.
enum class MemoryFormat {
  channel_major,  ///< [batch, channels, height, width], NCHW
  channels_last,  ///< [batch, height, width, channels], NHWC
};

}  // namespace tardigrad
