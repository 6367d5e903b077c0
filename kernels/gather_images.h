#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "kernels/bf16.h"
#include "kernels/crop.h"
#include "kernels/memory_format.h"
#include "kernels/operation.h"

namespace tardigrad {

/// Draws a minibatch out of a data set that lies in the device's memory, as the network wants it:
///
///     out_images[k, c, y, x] = (images[indices[k], c, y, x] / 255 − mean[c]) / deviation[c]
///     out_labels[k]          = labels[indices[k]]
///
/// Data that are no bytes come as they are, out_images[k, c, y, x] = values[indices[k], c, y, x]; mean and
/// deviation then count for nothing.
///
/// With `crops` the image is cropped and flipped first, on its pixels (crop.h). The result is channel-major
/// or channels last, in float or rounded to the nearest bf16; channels last it may have more channels than
/// the images, which are then 0.
///
/// The pixel is turned by one fused multiply-add with a scale and a shift worked out in float64, so a GPU
/// gives the bits of a CPU that has the instruction; the error against the formula is at most one unit in the
/// last place of the largest result of the channel. An index may come more than once. Outputs overlap
/// nothing.
///
/// Errors: std::logic_error for channels not in 1 … max_channels, a deviation of 0, a null pointer, not
/// exactly one kind of input and of output, fewer output channels than channels or, channel-major, more;
/// std::out_of_range for an index that is not below `count` (by run() only: on a GPU such an index is
/// undefined behaviour); launch() also throws std::runtime_error with CUDA's text. An empty batch does
/// nothing.
struct GatherImages {
  static constexpr const char* name = "gather_images";
  static constexpr std::size_t max_channels = 4;

  std::size_t count = 0;  ///< examples in the data set
  std::size_t batch = 0;  ///< B, examples to draw
  std::size_t channels = 0, height = 0, width = 0;

  const std::uint8_t* images = nullptr;    ///< [count, channels, height, width]
  const float* values = nullptr;           ///< the same, in the place of `images`
  const std::uint16_t* labels = nullptr;   ///< [count]
  const std::uint32_t* indices = nullptr;  ///< [B], each below count
  const Crop* crops = nullptr;             ///< [B], or null for the images as they are
  float* out_images = nullptr;         ///< [B, channels, height, width] or [B, height, width, out_channels]
  Bf16* out_images_bf16 = nullptr;     ///< the same in bf16, in the place of `out_images`
  std::int32_t* out_labels = nullptr;  ///< [B]

  MemoryFormat out_format = MemoryFormat::channel_major;
  std::size_t out_channels = 0;  ///< 0: as many as `channels`

  /// Holds the mean of the pixels scaled to [0, 1], per channel. Only the first `channels` are used.
  std::array<float, max_channels> mean{};
  std::array<float, max_channels> deviation{1, 1, 1, 1};

  /// Computes on the calling thread.
  void run() const;

  /// Enqueues one kernel. The current device must be the stream's.
  void launch(CudaStream stream) const;

  double bytes() const;
  double flops() const;
};

}  // namespace tardigrad
